/** A role's log file: appended line by line, rotated by size, so that a noisy role cannot fill the disk. */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

const bytesMax = 10 * 1024 * 1024;
/** Older files beside the current one: NAME.1 is the younger. */
const olderKept = 2;

export class RoleLog {
  private fd: number;
  private bytes: number;

  constructor(readonly path: string) {
    this.fd = openSync(path, 'a', 0o640);
    this.bytes = fstatSync(this.fd).size;
  }

  write(line: string): void {
    if (this.bytes > bytesMax) this.rotate();
    this.bytes += writeSync(this.fd, `${line}\n`);
  }

  close(): void {
    closeSync(this.fd);
  }

  private rotate(): void {
    closeSync(this.fd);
    for (let n = olderKept - 1; n >= 0; n--) {
      try {
        renameSync(n === 0 ? this.path : `${this.path}.${n}`, `${this.path}.${n + 1}`);
      } catch {
        // There are fewer older files than may be kept.
      }
    }
    this.fd = openSync(this.path, 'a', 0o640);
    this.bytes = 0;
  }
}
