/** What benchmarks attach to the kernel, one at a time: our probes, small programs beside them, tools of others. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveScope } from '../../services/loader/adapters/host.ts';
import { want } from '../../services/loader/load/wanted.ts';
import { readObject } from '../../services/loader/object/object.ts';
import { possibleCpus } from '../../services/shared/adapters/libbpf.ts';
import { BpfObject } from '../../services/shared/adapters/libbpf-object.ts';
import { constantsMap, controlMap } from '../../services/shared/contract/table-maps.ts';
import { builtProbe, checkout } from '../kernel/probe.ts';

/** Runs of a program, and the time in them, while statistics were on. */
export interface Account {
  readonly program: string;
  readonly runs: number;
  readonly runTimeNs: number;
}

export interface Attached {
  accounts(): Account[];
  detach(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  attach(): Promise<Attached>;
}

function attach(object: BpfObject, programs: readonly string[]): Attached {
  const refusal = object.load() ?? programs.map((program) => object.attach(program)).find(Boolean);
  if (refusal) throw refusal.error;
  return {
    accounts: () =>
      programs.map((program) => {
        const { runs, runTimeNs } = object.programInfo(program);
        return { program, runs: Number(runs), runTimeNs: Number(runTimeNs) };
      }),
    detach: async () => object.close(),
  };
}

/** A program of bench/kernel/NAME.bpf.c. */
export const plain = (name: string, program: string): Contender => ({
  name: program,
  attach: async () => {
    const path = join(checkout, `build/test/bench/${name}.bpf.o`);
    execFileSync(join(checkout, 'deploy/build-bpf.sh'), [join(import.meta.dirname, `kernel/${name}.bpf.c`), path]);
    return attach(BpfObject.open(readFileSync(path), name, [program]), [program]);
  },
});

/** A built-in probe, whole, as the loader makes it. */
export const probe = (name: string): Contender => ({
  name,
  attach: async () => {
    const bytes = builtProbe(name);
    const wanted = want(name, readObject(bytes), possibleCpus(), resolveScope(undefined), new Map());
    const programs = wanted.programs.map((p) => p.name);
    const object = BpfObject.open(bytes, name, programs);
    for (const [map, rows] of wanted.mapRows) object.setRows(map, rows);
    object.setInitialValue(constantsMap, wanted.constants);
    object.setInitialValue(controlMap, wanted.control);
    return attach(object, programs);
  },
});

const settleMs = 1000;
const endsMs = 3000;
const patienceMs = 20_000;

/** A tool of others, which attaches `programs` programs and keeps them until it is interrupted. */
export const tool = (
  name: string,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Contender => ({
  name,
  attach: async () => {
    const child = spawn(words[0]!, words.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = once(child, 'exit');
    for (const end = performance.now() + patienceMs; programsOf(child.pid!).length === 0; await sleep(100)) {
      if (child.exitCode !== null || performance.now() > end)
        throw new Error(`${words.join(' ')}: attached nothing\n${said}`);
    }
    await sleep(settleMs);
    return {
      accounts: () => programsOf(child.pid!).map(accountOf),
      detach: async () => {
        // bpftrace now and then misses the first.
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
          child.kill(signal);
          if (await Promise.race([ended.then(() => true), sleep(endsMs, false)])) return;
        }
      },
    };
  },
});

/** Ids of the programs whose descriptors a process holds. */
function programsOf(pid: number): number[] {
  const found = new Set<number>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fdinfo`)) {
      const id = /^prog_id:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1];
      if (id !== undefined) found.add(Number(id));
    }
  } catch {
    // A descriptor, or the process, has just gone.
  }
  return [...found];
}

function accountOf(id: number): Account {
  const text = execFileSync('bpftool', ['-j', 'prog', 'show', 'id', String(id)], { encoding: 'utf8' });
  const info = JSON.parse(text) as { name?: string; run_cnt?: number; run_time_ns?: number };
  return { program: info.name ?? String(id), runs: info.run_cnt ?? 0, runTimeNs: info.run_time_ns ?? 0 };
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
export const median = (values: readonly number[]): number => {
  const s = sorted(values);
  return (s[(s.length - 1) >> 1]! + s[s.length >> 1]!) / 2;
};
