/** The wall clock of one process (load/clock.preload.c), stepped while it runs. No other clock moves. */
import { openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export const clockLibrary = join(import.meta.dirname, '../../build/test/clock.preload');

export class Clock {
  private readonly fd: number;
  /** For the process whose clock it is to be. */
  readonly environment: Readonly<Record<string, string>>;

  constructor(file: string, library = clockLibrary) {
    writeFileSync(file, Buffer.alloc(8), { mode: 0o644 });
    this.fd = openSync(file, 'r+');
    this.environment = { LD_PRELOAD: library, MUSTER_CHAOS_CLOCK: file };
  }

  /** So many seconds off the machine's; 0: right. */
  set(seconds: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    writeSync(this.fd, bytes, 0, 8, 0);
  }
}
