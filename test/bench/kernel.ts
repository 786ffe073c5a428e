/**
 * Our probes beside the tools that people use, on the same kernel with the same load: ns per event over an empty
 * program. Peers: the leanest common program, libbpf-tools and bpftrace of Debian, installed by this benchmark alone.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { generate } from '../kernel/generator.ts';
import { checkout } from '../kernel/probe.ts';
import { plain, probe, tool } from './contender.ts';
import type { Figure } from './figure.ts';
import { callCosts, keysInUse, leanest, syscalls, type Measured } from './kernel-cost.ts';
import { runTimes } from './run-time.ts';

const run = promisify(execFile);

const version = (debianPackage: string): string =>
  execFileSync('dpkg-query', ['-W', '-f', '${Version}', debianPackage], { encoding: 'utf8' }).replace(/[-+].*$/, '');

/** Net ns with all three numbers of keys; `most`: what the ratio is to stay below with 10 and 300. */
async function systemCalls(tools: { bpftrace: string; libbpfTools: string }, turns: number): Promise<Figure[]> {
  const syscount: Measured = {
    contender: tool(`syscount ${tools.libbpfTools}`, ['syscount']),
    empty: plain('empty', 'on_empty_classic_exit'),
  };
  const program = 'tracepoint:raw_syscalls:sys_enter { @[args->id, comm] = count(); }';
  const bpftrace: Measured = {
    contender: tool(`bpftrace ${tools.bpftrace}`, ['bpftrace', '-q', '-e', program], {
      BPFTRACE_MAP_KEYS_MAX: '65536',
    }),
    empty: plain('empty', 'on_empty_classic_enter'),
  };
  const peers = [
    { measured: leanest, name: 'shared hash by syscall alone', most: 0.6 },
    { measured: syscount, name: syscount.contender.name, most: 0.5 },
    { measured: bpftrace, name: bpftrace.contender.name, most: 0.25 },
  ];
  const costs = await callCosts([syscalls, ...peers.map((p) => p.measured)], turns);
  return keysInUse.flatMap((keys) =>
    peers.map(({ measured, name, most }): Figure => {
      const ours = costs(syscalls.contender.name, keys);
      return {
        figure: `syscalls_net_ns_${keys}`,
        unit: 'ns',
        ours: ours.net,
        min: ours.min,
        peer: costs(measured.contender.name, keys).net,
        peerMin: costs(measured.contender.name, keys).min,
        peerName: name,
        ...(keys <= 300 ? { most } : {}),
      };
    }),
  );
}

/** Two threads that hand one CPU to each other, and one that sleeps and is woken. */
async function switching(): Promise<void> {
  const cpu = cpus().length - 1;
  await Promise.all([
    generate(['--threads', 2, '--pin', cpu, '--call', 'yield', '--calls', 150_000]),
    generate(['--pin', cpu, '--call', 'nap', '--calls', 200]),
  ]);
}

async function writing(): Promise<void> {
  const file = join(tmpdir(), `muster-bench-${process.pid}`);
  try {
    await run('dd', ['if=/dev/zero', `of=${file}`, 'bs=4096', 'count=300', 'oflag=dsync']);
  } finally {
    rmSync(file, { force: true });
  }
}

export async function kernel({ turns }: { readonly turns: number }): Promise<Figure[]> {
  execFileSync('bash', [join(checkout, 'deploy/packages.sh'), 'bpftrace', 'libbpf-tools'], { stdio: 'inherit' });
  const tools = { bpftrace: version('bpftrace'), libbpfTools: version('libbpf-tools') };
  const runqlat = tool(`runqlat ${tools.libbpfTools}`, ['runqlat']);
  const biolatency = tool(`biolatency ${tools.libbpfTools}`, ['biolatency']);
  const figures = await systemCalls(tools, turns);
  const waits = await runTimes(
    [
      { contender: probe('runqueue'), event: /sched_switch/ },
      { contender: runqlat, event: /sched_switch/ },
    ],
    plain('empty', 'on_empty_switch'),
    switching,
    turns,
  );
  const requests = await runTimes(
    [
      { contender: probe('block_io'), event: /complete/ },
      { contender: biolatency, event: /complete/ },
    ],
    plain('empty', 'on_empty_complete'),
    writing,
    turns,
  );
  const timed = (name: string, all: typeof waits, peerName: string, most?: number): Figure => ({
    figure: `${name}_net_ns`,
    unit: 'ns',
    ours: all.get(name)!.net,
    min: all.get(name)!.min,
    peer: all.get(peerName)!.net,
    peerMin: all.get(peerName)!.min,
    peerName,
    ...(most === undefined ? {} : { most }),
  });
  return [...figures, timed('runqueue', waits, runqlat.name, 0.7), timed('block_io', requests, biolatency.name)];
}

/** The section of docs/techniques.md. */
export async function writeKernel(figures: readonly Figure[]): Promise<void> {
  const { conditions, peerTable, writeSection } = await import('./document.ts');
  const body = `## Our probes beside other tools

What a probe adds to an event, in ns, over an empty program on the same kind of hook. \`syscalls\` counts by system call and command and keeps a ledger; beside it, on the same CPU with the same calls: one shared hash keyed by the system call alone with an atomic addition (the leanest common form: no command, no ledger), \`syscount\` of libbpf-tools (by system call), and bpftrace's \`@[args->id, comm] = count()\`; with 10, 300 and 4,000 keys in rotation. \`runqueue\` and \`runqlat\`, \`block_io\` and \`biolatency\` by the kernel's own account of run time, all their programs for one switch, or one request, together. Contenders take turns; the median, and the least. _At most_ is what the ratio is to stay below.

${peerTable(figures)}

${conditions()}`;
  await writeSection('docs/techniques.md', 'What the techniques buy', 'kernel', body);
}
