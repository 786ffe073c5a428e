/**
 * What an agent costs its host: the real loader, nats-server and agent, with a load that changes every row of one table
 * each second. CPU is what the scheduler charged to all of the agent's threads (/proc/PID/task/TID/schedstat).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNatsBatchSource } from '../../services/shared/adapters/nats-batch-source.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import { nodeFlags } from '../../services/cli/up/commands.ts';
import { generate } from '../kernel/generator.ts';
import type { Figure } from './figure.ts';

const root = join(import.meta.dirname, '../..');
const aims: Record<number, number> = { 300: 0.05, 2000: 0.1, 16000: 0.4 };
const unprivileged = 61_999;
const peerName = 'a bare client that publishes a message a second';
/** By then V8 has compiled what runs each second, and has given back what the start needed. */
const warmUpMs = 40_000;

/** Figures agent_cpu_share_ROWS in percent of one core, beside the least that any agent could take, and agent_rss_ROWS in MiB. */
export async function agentCost(seconds: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const rows of [300, 2000, 16_000]) {
    process.stderr.write(`agent with ${rows} changing rows: ${warmUpMs / 1000 + seconds} s\n`);
    const cost = await withAgent(rows, async (agent, bare) => {
      await sleep(warmUpMs);
      const at = process.hrtime.bigint();
      const before = [cpuNs(agent), cpuNs(bare)] as const;
      await sleep(seconds * 1000);
      const percent = (pid: number, from: bigint): number =>
        (Number(cpuNs(pid) - from) / Number(process.hrtime.bigint() - at)) * 100;
      return { agent: percent(agent, before[0]), bare: percent(bare, before[1]), rssMb: rssMb(agent) };
    });
    figures.push(
      {
        figure: `agent_cpu_share_${rows}`,
        unit: '% of a core',
        ours: cost.agent,
        peer: cost.bare,
        peerName,
        aim: aims[rows]!,
      },
      { figure: `agent_rss_${rows}`, unit: 'MiB', ours: cost.rssMb, aim: 90 },
    );
  }
  return figures;
}

async function withAgent<T>(rows: number, measure: (agent: number, bare: number) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'muster-bench-'));
  const pinRoot = `/sys/fs/bpf/muster-bench-${process.pid}`;
  const cgroup = join(cgroupMount(), `muster-bench-${process.pid}`);
  mkdirSync(cgroup);
  const children: ChildProcess[] = [];
  const start = (words: string[], ready: RegExp): Promise<ChildProcess> => startChild(words, ready, children);
  let busy = true;
  try {
    const port = await freePort();
    await start(['nats-server', '-js', '-sd', dir, '-a', '127.0.0.1', '-p', String(port)], /Server is ready/);
    const source = createNatsBatchSource({ address: `127.0.0.1:${port}`, name: 'bench', log: silentLog });
    await source.ready;
    await source.streamIdentity();
    await source.close();
    const loader = [process.execPath, join(root, 'dist/services/loader/main.js'), '--keep', '--probes', 'syscalls'];
    await start(
      [
        ...loader,
        '--pin-root',
        pinRoot,
        '--scope',
        `cgroup=${cgroup}`,
        '--rows',
        `syscalls=${rows + 256}`,
        '--gid',
        String(unprivileged),
        '--socket',
        join(dir, 'keeper.sock'),
      ],
      /"ready"/,
    );
    const bareWords = [process.execPath, '--import', 'tsx', join(import.meta.dirname, 'bare-client.ts')];
    const least = await start([...bareWords, `127.0.0.1:${port}`], /"ready"/);
    const changing = (async (): Promise<void> => {
      while (busy) {
        await generate(['--cgroup', cgroup, '--call', 'number', '--keys', rows, '--calls', rows]);
        await sleep(400);
      }
    })();
    const bare = ['setpriv', '--inh-caps=-all,+setuid,+setgid', 'setpriv', '--bounding-set=-all', '--no-new-privs'];
    const agent = await start(
      [
        ...bare,
        process.execPath,
        ...nodeFlags['agent']!,
        join(root, 'dist/services/agent/main.js'),
        '--host',
        'bench',
        '--interval',
        '1s',
        '--pin-root',
        pinRoot,
        '--nats',
        `127.0.0.1:${port}`,
        '--uid',
        String(unprivileged),
        '--gid',
        String(unprivileged),
      ],
      /"ready"/,
    );
    const result = await measure(agent.pid!, least.pid!);
    busy = false;
    await changing;
    return result;
  } finally {
    busy = false;
    for (const child of children.reverse()) {
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
    }
    rmSync(dir, { recursive: true, force: true });
    rmSync(pinRoot, { recursive: true, force: true });
    rmdirSync(cgroup);
  }
}

async function startChild(words: string[], ready: RegExp, children: ChildProcess[]): Promise<ChildProcess> {
  const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const said: string[] = [];
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        if (ready.test(line)) resolve();
      });
    }
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${words.join(' ')} ended with ${code}:\n${said.join('\n')}`)));
  });
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function cgroupMount(): string {
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[2] === 'cgroup2');
  if (!mount) throw new Error('cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup');
  return mount.split(' ')[1]!;
}

const cpuNs = (pid: number): bigint =>
  readdirSync(`/proc/${pid}/task`)
    .map((tid) => BigInt(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]!))
    .reduce((sum, ns) => sum + ns, 0n);

const rssMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
