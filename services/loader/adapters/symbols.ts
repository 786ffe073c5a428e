/**
 * Names for addresses, which the unprivileged agent may not look up: kernel symbols from /proc/kallsyms, and for a
 * process the file and offset from /proc/PID/maps with the function from that file's own symbol table.
 * Sources: proc(5), ELF-64 Object File Format. Unknown addresses stay without a name; nothing here fails a request.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';

export interface NamedAddress {
  readonly address: string;
  /** "do_sys_openat2+0x1a" or "/usr/bin/node+0x12ab" in the mapped file; absent when unknown. */
  readonly name?: string;
  /** The file of a user address, the offset in it, and its function. */
  readonly module?: string;
  readonly offset?: string;
  readonly symbol?: string;
}

interface SymbolTable {
  /** Ascending. */
  readonly starts: BigUint64Array;
  readonly names: readonly string[];
  /** Where each ends, if that is known: what lies behind it is another's, whose name the file does not tell. */
  readonly ends?: BigUint64Array;
}

const kernelTableAgeMaxMs = 60_000;
const fileTablesMax = 16;
const fileSymbolsMax = 1_000_000;

export class Symbols {
  private kernel: { readonly table: SymbolTable; readonly readAtMs: number } | undefined;
  /** By path, device and time of change; the oldest leaves. */
  private readonly files = new Map<string, SymbolTable>();

  /** `nowMs`: any clock that advances; modules come and go, so the table is read anew now and then. */
  kernelNames(addresses: readonly string[], nowMs: number): NamedAddress[] {
    if (!this.kernel || nowMs - this.kernel.readAtMs > kernelTableAgeMaxMs) {
      this.kernel = { table: readKallsyms(), readAtMs: nowMs };
    }
    const { table } = this.kernel;
    return addresses.map((address) => {
      const name = nameIn(table, parse(address));
      return name === undefined ? { address } : { address, name };
    });
  }

  userNames(pid: number, addresses: readonly string[]): NamedAddress[] {
    const maps = readMaps(pid);
    return addresses.map((address) => {
      const at = parse(address);
      const map = maps.find((m) => at >= m.start && at < m.end);
      if (!map || !map.path.startsWith('/')) return { address };
      const fileOffset = at - map.start + map.offset;
      const symbol = nameIn(this.fileTable(`/proc/${pid}/root${map.path}`), fileOffset);
      const offset = `0x${fileOffset.toString(16)}`;
      return {
        address,
        module: map.path,
        offset,
        name: `${map.path}+${offset}`,
        ...(symbol === undefined ? {} : { symbol }),
      };
    });
  }

  /** The function at an offset of a file, "main+0x12"; undefined where there is none. */
  functionAt(path: string, offset: bigint): string | undefined {
    return nameIn(this.fileTable(path), offset);
  }

  private fileTable(path: string): SymbolTable {
    let fd: number | undefined;
    try {
      fd = openSync(path, 'r');
      const { dev, ino, mtimeMs } = fstatSync(fd);
      const key = `${dev}:${ino}:${mtimeMs}`;
      let table = this.files.get(key);
      if (!table) {
        table = readFileSymbols(fd);
        if (this.files.size >= fileTablesMax) this.files.delete(this.files.keys().next().value!);
        this.files.set(key, table);
      }
      return table;
    } catch {
      return none;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}

const none: SymbolTable = { starts: new BigUint64Array(), names: [] };
const parse = (address: string): bigint =>
  BigInt(address.startsWith('0x') || address.startsWith('0X') ? address : `0x${address}`);

function tableOf(symbols: { start: bigint; name: string; size?: bigint }[]): SymbolTable {
  symbols.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const endless = symbols.every((s) => s.size === undefined);
  return {
    starts: BigUint64Array.from(symbols, (s) => s.start),
    names: symbols.map((s) => s.name),
    ...(endless ? {} : { ends: BigUint64Array.from(symbols, (s) => s.start + (s.size || 1n << 32n)) }),
  };
}

/** The last symbol at or before the address. */
function nameIn({ starts, names, ends }: SymbolTable, address: bigint): string | undefined {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  if (low === 0 || (ends && address >= ends[low - 1]!)) return undefined;
  return `${names[low - 1]}+0x${(address - starts[low - 1]!).toString(16)}`;
}

function readKallsyms(): SymbolTable {
  const symbols: { start: bigint; name: string }[] = [];
  for (const line of readFileSync('/proc/kallsyms', 'utf8').split('\n')) {
    const [start, type, name] = line.split(/[ \t]/) as [string, string | undefined, string | undefined];
    // Zero: hidden from this process. Text symbols only.
    if (name && type && 'tTwW'.includes(type) && !/^0+$/.test(start))
      symbols.push({ start: BigInt(`0x${start}`), name });
  }
  return tableOf(symbols);
}

function readMaps(pid: number): { start: bigint; end: bigint; offset: bigint; path: string }[] {
  try {
    return readFileSync(`/proc/${pid}/maps`, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const match = /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ \d+ +(.+)$/.exec(line);
        if (!match) return [];
        const [start, end, offset] = [match[1]!, match[2]!, match[3]!].map((hex) => BigInt(`0x${hex}`)) as [
          bigint,
          bigint,
          bigint,
        ];
        return [{ start, end, offset, path: match[4]!.replace(/ \(deleted\)$/, '') }];
      });
  } catch {
    return [];
  }
}

const sectionsMax = 8192;
const tableBytesMax = 256 * 2 ** 20;

/** Functions of an ELF file by file offset, read section by section: the files may be large. */
function readFileSymbols(fd: number): SymbolTable {
  const read = (offset: number, size: number): Buffer => {
    if (size < 0 || size > tableBytesMax) throw new Error('size');
    const buffer = Buffer.alloc(size);
    return buffer.subarray(0, readSync(fd, buffer, 0, size, offset));
  };
  const header = read(0, 64);
  if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) return none;
  const u64 = (b: Buffer, at: number): number => Number(b.readBigUInt64LE(at));
  const count = Math.min(header.readUInt16LE(60), sectionsMax);
  const sections = read(u64(header, 40), count * 64);
  const segments = read(u64(header, 32), header.readUInt16LE(56) * 56);
  const loads: { address: bigint; offset: bigint; size: bigint }[] = [];
  for (let at = 0; at + 56 <= segments.length; at += 56) {
    if (segments.readUInt32LE(at) !== 1) continue;
    loads.push({
      offset: segments.readBigUInt64LE(at + 8),
      address: segments.readBigUInt64LE(at + 16),
      size: segments.readBigUInt64LE(at + 32),
    });
  }
  const symbols: { start: bigint; name: string; size: bigint }[] = [];
  for (let at = 0; at + 64 <= sections.length; at += 64) {
    const type = sections.readUInt32LE(at + 4);
    if (type !== 2 && type !== 11) continue;
    const table = read(u64(sections, at + 24), u64(sections, at + 32));
    const link = sections.readUInt32LE(at + 40) * 64;
    if (link + 64 > sections.length) continue;
    const names = read(u64(sections, link + 24), u64(sections, link + 32));
    for (let s = 0; s + 24 <= table.length && symbols.length < fileSymbolsMax; s += 24) {
      const value = table.readBigUInt64LE(s + 8);
      if ((table[s + 4]! & 15) !== 2 || value === 0n) continue;
      const load = loads.find((l) => value >= l.address && value < l.address + l.size);
      const nameAt = table.readUInt32LE(s);
      const end = names.indexOf(0, nameAt);
      if (load && end > nameAt)
        symbols.push({
          start: value - load.address + load.offset,
          name: names.toString('utf8', nameAt, end),
          size: table.readBigUInt64LE(s + 16),
        });
    }
  }
  return tableOf(symbols);
}
