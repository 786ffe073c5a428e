/**
 * Files by build id, for symbols: what processes have mapped now, and what was found before. Sources: proc(5), elf(5)
 * (the note NT_GNU_BUILD_ID of a PT_NOTE segment).
 */
import { closeSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs';

const scanEveryMs = 5000;
const filesMax = 20_000;
const noteBytesMax = 65_536;

export class BuildFiles {
  private readonly byBuild = new Map<string, string>();
  /** Device and inode of files that were looked into. */
  private readonly seen = new Set<string>();
  private scannedAtMs = -Infinity;

  /** A path that opens the file with this build id (40 hex digits), if one was seen. */
  pathOf(build: string, nowMs: number): string | undefined {
    if (!this.byBuild.has(build) && nowMs - this.scannedAtMs >= scanEveryMs) {
      this.scannedAtMs = nowMs;
      this.scan();
    }
    return this.byBuild.get(build);
  }

  private scan(): void {
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      let maps: string;
      try {
        maps = readFileSync(`/proc/${pid}/maps`, 'utf8');
      } catch {
        continue; // ended in between
      }
      for (const [, device, inode, path] of maps.matchAll(/^\S+ \S+x\S* \S+ (\S+) (\d+) +(\/.*)$/gm)) {
        const file = `${device} ${inode}`;
        if (this.seen.has(file) || this.seen.size >= filesMax) continue;
        this.seen.add(file);
        this.look(`/proc/${pid}/root${path!}`, path!);
      }
    }
  }

  private look(path: string, bare: string): void {
    try {
      const build = buildIdOf(path);
      // A path of its own outlives the process, if it is the same file.
      if (build !== undefined) this.byBuild.set(build, sameFile(path, bare) ? bare : path);
    } catch {
      // Not an ELF file, or gone.
    }
  }
}

function sameFile(a: string, b: string): boolean {
  try {
    const [x, y] = [statSync(a), statSync(b)];
    return x.dev === y.dev && x.ino === y.ino;
  } catch {
    return false;
  }
}

function buildIdOf(path: string): string | undefined {
  const fd = openSync(path, 'r');
  try {
    const read = (offset: number, size: number): Buffer => {
      const buffer = Buffer.alloc(Math.min(size, noteBytesMax));
      return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, offset));
    };
    const header = read(0, 64);
    if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1)
      return undefined;
    const segments = read(Number(header.readBigUInt64LE(32)), header.readUInt16LE(56) * 56);
    for (let at = 0; at + 56 <= segments.length; at += 56) {
      const PT_NOTE = 4;
      if (segments.readUInt32LE(at) !== PT_NOTE) continue;
      const found = noteIn(read(Number(segments.readBigUInt64LE(at + 8)), Number(segments.readBigUInt64LE(at + 32))));
      if (found !== undefined) return found;
    }
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function noteIn(notes: Buffer): string | undefined {
  const NT_GNU_BUILD_ID = 3;
  const padded = (size: number): number => (size + 3) & ~3;
  for (let at = 0; at + 12 <= notes.length;) {
    const [nameBytes, bytes, type] = [0, 4, 8].map((i) => notes.readUInt32LE(at + i)) as [number, number, number];
    const start = at + 12 + padded(nameBytes);
    if (
      type === NT_GNU_BUILD_ID &&
      notes.toString('latin1', at + 12, at + 15) === 'GNU' &&
      start + bytes <= notes.length
    )
      return notes
        .toString('hex', start, start + bytes)
        .padEnd(40, '0')
        .slice(0, 40);
    at = start + padded(bytes);
  }
  return undefined;
}
