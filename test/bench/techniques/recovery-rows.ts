/** Checkpointing: processes killed by SIGKILL, in the kernel's part and in the fleet's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { PinRoot } from '../../../services/loader/adapters/pin-root.ts';
import { startRedis } from '../../contract/servers.ts';
import { drive } from './form.ts';
import type { TechniqueRow, Way } from './row.ts';

class Child {
  readonly #lines: AsyncIterator<string>;

  private constructor(readonly process: ChildProcess) {
    this.#lines = createInterface({ input: process.stdout! })[Symbol.asyncIterator]();
  }

  static start(script: string, ...words: string[]): Child {
    const args = ['--import', 'tsx', join(import.meta.dirname, script), ...words];
    return new Child(spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  /** Undefined at its end. */
  async line(): Promise<string | undefined> {
    const next = await this.#lines.next();
    return next.done ? undefined : next.value;
  }

  async ask(): Promise<number> {
    this.process.stdin!.write('\n');
    return Number(await this.line());
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }
}

const calls = 200_000;

async function survived(mode: string, ...words: string[]): Promise<{ found: number; readyMs: number }> {
  const first = Child.start('holder.ts', mode, ...words);
  await first.line();
  await drive(1, 100, calls);
  await first.kill();
  await drive(1, 100, calls);
  const start = performance.now();
  const second = Child.start('holder.ts', mode, ...words);
  await second.line();
  const readyMs = performance.now() - start;
  await drive(1, 100, calls);
  const found = await second.ask();
  await second.kill();
  return { found, readyMs };
}

export async function pins(): Promise<TechniqueRow> {
  const directory = `/sys/fs/bpf/muster-bench-${process.pid}`;
  const ways: Way[] = [];
  try {
    const kept = await survived('pinned', directory);
    ways.push({
      ...{ name: 'pinned maps, programs and links', ours: true, lost: 3 * calls - kept.found, of: 3 * calls },
      recovery: `all there ${(kept.readyMs / 1000).toFixed(1)} s after a new process was started`,
    });
  } finally {
    const root = PinRoot.acquire(directory, 0);
    root.removeAll();
    root.release();
  }
  const gone = await survived('unpinned');
  ways.push({
    ...{ name: 'maps of the process', ours: false, lost: 3 * calls - gone.found, of: 3 * calls },
    recovery: `counts anew ${(gone.readyMs / 1000).toFixed(1)} s after a new process was started`,
  });
  return {
    technique: 'checkpointing in the kernel: pins',
    id: 'pins',
    task: `${calls.toLocaleString('en')} calls before the reader is killed, as many while it is dead, as many after it was started again`,
    ways,
    text: 'Without pins the program ends with the process that loaded it: what it had counted is gone, and what happens until the next one is not counted.',
  };
}

const messages = 40_000;
const kills = 25;

/** Runs to the end, killed again and again on the way; the sum at the end. */
async function committed(mode: string): Promise<bigint> {
  const redis = await startRedis();
  try {
    for (let kill = 0; ; kill++) {
      const child = Child.start('committer.ts', mode, redis.address, String(messages));
      // Some commits further, then at any moment of the next ones.
      let left = kill < kills ? 5 + ((kill * 13) % 17) : Infinity;
      for (let line = await child.line(); line !== undefined; line = await child.line()) {
        if (line.startsWith('sum ')) return BigInt(line.slice(4));
        if (--left > 0) continue;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 2));
        await child.kill();
      }
    }
  } finally {
    await redis.stop();
  }
}

export async function fleet(): Promise<TechniqueRow> {
  let truth = 0n;
  for (let position = 1; position <= messages; position++) truth += BigInt((position * 7919) % 1000);
  const off = async (mode: string): Promise<number> => Number((await committed(mode)) - truth);
  const magnitude = (n: number): string => (n === 0 ? '' : `the sum is ${Math.abs(n)} too ${n > 0 ? 'high' : 'low'}`);
  const [together, apart] = [await off('together'), await off('apart')];
  return {
    technique: 'checkpointing of the fleet',
    id: 'fleet',
    task: `${messages.toLocaleString('en')} increments added up, kept in Redis after each 50, by a process that is killed ${kills} times`,
    ways: [
      {
        name: 'sum and position in one atomic write',
        ours: true,
        lost: Math.abs(together),
        of: Number(truth),
        wrong: magnitude(together),
        recovery: 'goes on at the kept position',
      },
      {
        name: 'sum, then position',
        ours: false,
        lost: Math.abs(apart),
        of: Number(truth),
        wrong: magnitude(apart),
        recovery: 'counts again what lies between',
      },
    ],
    text: 'Between two writes there is always a moment to die in: then the sum knows what the position does not.',
  };
}
