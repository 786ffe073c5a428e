/**
 * A load whose calls are known to the last one (load/flow.c), started and stopped through a shared file. Expected
 * counts are read only while it stands outside its cgroup, when no more can come.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../integration/instance.ts';

export const flowProgram = join(import.meta.dirname, '../../build/test/flow');

export interface FlowPlan {
  readonly inside: string;
  readonly outside: string;
  readonly file: string;
  readonly comm: string;
  /** Call numbers first … first + keys - 1, none of which exists. */
  readonly first: number;
  readonly keys: number;
  readonly burst: number;
  readonly napUs: number;
}

const words = 5;

export class Flow {
  private readonly child: ChildProcess;
  private readonly fd: number;
  private ended = false;

  constructor(readonly plan: FlowPlan) {
    writeFileSync(plan.file, Buffer.alloc(words * 8));
    this.fd = openSync(plan.file, 'r+');
    const { inside, outside, file, comm, first, keys, burst, napUs } = plan;
    this.child = spawn(flowProgram, [inside, outside, file, comm, ...[first, keys, burst, napUs].map(String)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.child.once('exit', () => (this.ended = true));
  }

  start(): void {
    this.want(1n);
  }

  /** Resolves once it is outside: nothing more is counted. */
  async stop(): Promise<void> {
    this.want(0n);
    await until(`${this.plan.comm} has left its cgroup`, () => this.ended || this.word(1) === 0n, 20_000);
    if (this.ended) throw new Error(`${this.plan.comm} ended by itself`);
  }

  async end(): Promise<void> {
    this.want(2n);
    if (!this.ended) {
      const exited = once(this.child, 'exit');
      // One that is inside leaves first; one that hangs is killed.
      const late = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(late);
    }
    closeSync(this.fd);
  }

  /** Everything it called inside. */
  total(): bigint {
    return this.word(2) + this.word(3) + this.word(4);
  }

  /** Calls by the label `syscall`. */
  byCall(): Map<string, bigint> {
    const { first, keys } = this.plan;
    const calls = this.word(2);
    const counts = new Map<string, bigint>();
    for (let i = 0; i < keys; i++) {
      const n = calls / BigInt(keys) + (BigInt(i) < calls % BigInt(keys) ? 1n : 0n);
      if (n > 0n) counts.set(`syscall_${first + i}`, n);
    }
    if (this.word(3) > 0n) counts.set('clock_nanosleep', this.word(3));
    if (this.word(4) > 0n) counts.set('write', this.word(4));
    return counts;
  }

  private want(value: bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    writeSync(this.fd, bytes, 0, 8, 0);
  }

  private word(n: number): bigint {
    const bytes = Buffer.alloc(8);
    readSync(this.fd, bytes, 0, 8, n * 8);
    return bytes.readBigUInt64LE();
  }
}
