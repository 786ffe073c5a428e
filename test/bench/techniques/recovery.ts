/** Checkpointing: processes killed by SIGKILL, in the kernel's part and in the fleet's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '../../contract/servers.ts';
import { drive } from './form.ts';
import { incrementsTo } from './increments.ts';
import { removeCounts } from './pinned.ts';
import type { Technique, Way } from './technique.ts';

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

async function survived(mode: string, ...words: string[]): Promise<{ found: number; readySeconds: string }> {
  const first = Child.start('holder.ts', mode, ...words);
  await first.line();
  await drive(1, 100, calls);
  await first.kill();
  await drive(1, 100, calls);
  const start = performance.now();
  const second = Child.start('holder.ts', mode, ...words);
  await second.line();
  const readySeconds = ((performance.now() - start) / 1000).toFixed(1);
  await drive(1, 100, calls);
  const found = await second.ask();
  await second.kill();
  return { found, readySeconds };
}

export const pins: Technique = {
  id: 'pins',
  name: 'Checkpointing in the kernel: pins',
  task: '200,000 calls before the process that loaded the program is killed, as many while it is dead, as many after it was started again.',
  text: 'Without pins the program ends with the process that loaded it: what it had counted is gone, and what happens until the next one is ready is not counted.',
  forms: [],
  async measure(): Promise<Way[]> {
    const directory = `/sys/fs/bpf/muster-bench-pins-${process.pid}`;
    const kept = await survived('pinned', directory).finally(() => {
      removeCounts(directory);
    });
    const gone = await survived('unpinned');
    return [
      {
        ...{ name: 'pinned maps, programs and links', ours: true, found: kept.found, of: 3 * calls },
        recovery: `all there ${kept.readySeconds} s after the start of the next`,
      },
      {
        ...{ name: 'maps of the process', ours: false, found: gone.found, of: 3 * calls },
        recovery: `begins anew ${gone.readySeconds} s after the start of the next`,
      },
    ];
  },
};

const messages = 20_000;
const kills = 12;

/** Runs to the end, killed again and again on the way; the sum at the end. */
async function committed(mode: string): Promise<number> {
  const redis = await startRedis();
  try {
    for (let kill = 0; ; kill++) {
      const child = Child.start('committer.ts', mode, redis.address, String(messages));
      // Some commits further, then at any moment of the next ones.
      let left = kill < kills ? 5 + ((kill * 13) % 17) : Infinity;
      for (let line = await child.line(); line !== undefined; line = await child.line()) {
        if (line.startsWith('sum ')) return Number(line.slice(4));
        if (--left > 0) continue;
        await sleep(Math.random() * 2);
        await child.kill();
      }
    }
  } finally {
    await redis.stop();
  }
}

export const fleet: Technique = {
  id: 'fleet_checkpoint',
  name: 'Checkpointing of the fleet',
  task: `20,000 messages’ increments are added up, and sum and position kept in Redis after each 50, by a process that is killed ${kills} times.`,
  text: 'Between two writes there is always a moment to die in: then the sum knows what the position does not, and the next process counts it again.',
  forms: [],
  async measure(): Promise<Way[]> {
    const of = Number(incrementsTo(messages));
    return [
      {
        ...{ name: 'sum and position in one atomic write', ours: true, found: await committed('together'), of },
        recovery: 'goes on at the kept position',
      },
      {
        ...{ name: 'sum, then position', ours: false, found: await committed('apart'), of },
        recovery: 'counts again what lies between',
      },
    ];
  },
};
