/** Gathers what `muster doctor` judges. Everything here may be missing: no check throws. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statfsSync } from 'node:fs';
import { connect } from 'node:net';
import { release } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { describeCause, MusterError } from '../../shared/runtime/errors.ts';
import type { HostFacts, NatsFacts, RedisFacts } from '../doctor/checks.ts';
import { findProgram, missingCapabilities, requireFreeAddress, splitAddress } from './host.ts';

/** Magic numbers of include/uapi/linux/magic.h. */
const bpfMagic = 0xcafe4a11;
const tracefsMagic = 0x74726163;

export interface DoctorSubject {
  readonly listen: string;
  readonly nats: string | undefined;
  readonly redis: string | undefined;
  readonly objects: string;
  /** Folder that holds <service>/main.js. */
  readonly services: string;
  /** True when a Muster answers at `listen`. */
  readonly answers: () => Promise<boolean>;
}

export async function gatherFacts(subject: DoctorSubject): Promise<HostFacts> {
  return {
    kernel: release(),
    node: process.version,
    btf: existsSync('/sys/kernel/btf/vmlinux'),
    features: kernelReport(subject.services),
    bpffs: isType('/sys/fs/bpf', bpfMagic),
    tracefs: isType('/sys/kernel/tracing', tracefsMagic),
    uid: process.getuid?.() ?? -1,
    missingCapabilities: missingCapabilities(),
    libbpf: libbpf(),
    natsServer: versionOf('nats-server'),
    redisServer: versionOf('redis-server'),
    setpriv: findProgram('setpriv') !== undefined,
    objects: existsSync(subject.objects) ? readdirSync(subject.objects).filter((name) => name.endsWith('.bpf.o')) : [],
    listen: { address: subject.listen, state: await listenState(subject) },
    nats: subject.nats === undefined ? undefined : await natsFacts(subject.nats),
    redis: subject.redis === undefined ? undefined : await redisFacts(subject.redis),
  };
}

function isType(path: string, magic: number): boolean {
  try {
    return statfsSync(path).type === magic;
  } catch {
    return false;
  }
}

function versionOf(name: string): string | undefined {
  const path = findProgram(name);
  if (!path) return undefined;
  try {
    return execFileSync(path, ['--version'], {
      encoding: 'utf8',
      timeout: 3000,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split('\n')[0];
  } catch {
    return path;
  }
}

/** For a process that tries something out: on a slow or busy machine Node alone takes many seconds. */
const trialMs = 60_000;

const endOf = (run: { signal: string | null; status: number | null }): string =>
  run.signal === 'SIGTERM' ? `no answer within ${trialMs / 1000} s` : `ended with ${run.signal ?? run.status}`;

/** In a process of its own: a native module that does not fit may end the process that loads it. */
function libbpf(): HostFacts['libbpf'] {
  const program = `import ffi from 'ffi-napi'; console.log(ffi.Library('libbpf.so.1', { libbpf_version_string: ['string', []] }).libbpf_version_string())`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    timeout: trialMs,
  });
  const version = run.stdout?.trim();
  if (run.status === 0 && version) return { version: `libbpf ${version.replace(/^v/, '')}` };
  return {
    error: run.stderr?.split('\n').find((line) => line.includes('Error')) ?? endOf(run),
  };
}

const report = z.object({
  features: z.array(z.object({ name: z.string(), since: z.string(), present: z.boolean() })),
  agentNeedsBpf: z.boolean().optional(),
});

/** The loader tries them out, in a process of its own; what it says of itself when it cannot is the error. */
export function kernelReport(services: string): HostFacts['features'] {
  const run = spawnSync(process.execPath, [join(services, 'loader/main.js'), '--features'], {
    encoding: 'utf8',
    timeout: trialMs,
  });
  try {
    if (run.status === 0) return { agentNeedsBpf: undefined, ...report.parse(JSON.parse(run.stdout)) };
  } catch {
    // Not its answer.
  }
  const said = run.stderr
    ?.split('\n')
    .find((line) => line.startsWith('error: '))
    ?.slice('error: '.length);
  return { error: `could not be tried: ${said ?? endOf(run)}` };
}

async function listenState(subject: DoctorSubject): Promise<string> {
  try {
    await requireFreeAddress(subject.listen);
    return 'free';
  } catch (error) {
    if (await subject.answers()) return 'muster';
    return error instanceof MusterError ? describeCause(error.cause) : String(error);
  }
}

/** Sends `text` and resolves with what came until `done` is satisfied. */
function exchange(address: string, text: string, done: (reply: string) => boolean): Promise<string> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    let reply = '';
    socket.setEncoding('utf8');
    socket.setTimeout(3000, () => socket.destroy(new Error(`no reply from ${address} within 3 s`)));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`${address} closed the connection`)));
    socket.on('connect', () => socket.write(text));
    socket.on('data', (chunk: string) => {
      reply += chunk;
      if (!done(reply)) return;
      socket.removeAllListeners('close');
      socket.end();
      resolve(reply);
    });
  });
}

/** A NATS server introduces itself: INFO {json}. */
async function natsFacts(address: string): Promise<NatsFacts | { error: string }> {
  try {
    const line = await exchange(address, '', (reply) => reply.includes('\r\n'));
    const info = JSON.parse(line.slice(5, line.indexOf('\r\n'))) as {
      version?: string;
      jetstream?: boolean;
      max_payload?: number;
    };
    return {
      version: info.version ?? 'unknown',
      jetstream: info.jetstream === true,
      payloadMax: info.max_payload ?? 0,
    };
  } catch (error) {
    return { error: describeCause(error) };
  }
}

async function redisFacts(address: string): Promise<RedisFacts | { error: string }> {
  try {
    const names = ['maxmemory-policy', 'appendonly', 'appendfsync'];
    const text = `${names.map((name) => `CONFIG GET ${name}\r\n`).join('')}INFO server\r\nPING\r\n`;
    const reply = await exchange(address, text, (r) => r.includes('+PONG') || r.startsWith('-'));
    if (reply.startsWith('-')) return { error: reply.slice(1, reply.indexOf('\r\n')) };
    const lines = reply.split('\r\n');
    const valueOf = (name: string): string => lines[lines.indexOf(name) + 2] ?? '';
    return {
      version: lines.find((l) => l.startsWith('redis_version:'))?.slice(14) ?? 'unknown',
      policy: valueOf('maxmemory-policy'),
      appendOnly: valueOf('appendonly'),
      appendFsync: valueOf('appendfsync'),
    };
  } catch (error) {
    return { error: describeCause(error) };
  }
}
