/**
 * Port PinnedTables on bpffs: pins are opened by descriptor, arrays are mapped into memory, and reading them makes no
 * system call. Works without any capability, through the pins' group. Layouts: contract/lineage.ts, control.ts.
 * Live memory is copied first, word by word of 64 bits or wider, and looked at in halves only in the copy: a live
 * counter read in halves near a carry reads 2^32 too much.
 */
import { closeSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { clockWord, controlWords, governorWord, retiredWords } from '../contract/control.ts';
import { inboxPin, inboxProgram } from '../contract/table-maps.ts';
import { missingPin, parseLineageMeta, parseMissing } from '../contract/lineage.ts';
import type { LineageMeta } from '../contract/lineage.ts';
import { assert } from '../runtime/assert.ts';
import { MusterError, describeCause } from '../runtime/errors.ts';
import type { PinnedLineage, PinnedTables, ProgramAccount, TableImage } from '../runtime/ports/pinned-tables.ts';
import { getPinned, libbpf, lookup, mapInfo, programInfo, updateAsync } from './libbpf.ts';
import { PinnedSlot, mapPinned } from './libbpf-pinned-slot.ts';
import { membarrierGlobal, preloadForeign, tryLockExclusive } from './libc.ts';
import type { Mapping } from './libc.ts';

const uuidDirectory = /^[0-9a-f]{32}$/;

/** `pinRoot` is a directory on bpffs. Everything foreign is loaded here, before a caller drops its privileges. */
export function createPinnedTables(pinRoot: string): PinnedTables {
  preloadForeign();
  libbpf();
  const list = (): string[] =>
    childrenOf(pinRoot).flatMap((probe) =>
      childrenOf(join(pinRoot, probe))
        .filter((name) => uuidDirectory.test(name))
        .map((name) => `${probe}/${name}`),
    );
  return {
    list,
    // Read from the directory's names: looking for a pin that is not there costs an exception.
    ended: (directories) => directories.filter((d) => childrenOf(join(pinRoot, d)).includes('ended')),
    // Removing the last link's pin was the last change of the directory.
    detached: (directories) =>
      new Map(
        directories.flatMap((d): [string, bigint][] => {
          const path = join(pinRoot, d);
          if (childrenOf(path).some((name) => name.startsWith('link-'))) return [];
          const mtimeNs = statSync(path, { bigint: true, throwIfNoEntry: false })?.mtimeNs;
          return mtimeNs === undefined ? [] : [[d, mtimeNs]];
        }),
      ),
    missing: () => parseMissing(readText(join(pinRoot, missingPin)) ?? '[]'),
    open: (directory) => new OpenLineage(join(pinRoot, directory)),
    async gracePeriod() {
      if (onlineCpus() > 1 && (await membarrierGlobal()) && onlineCpus() > 1) return;
      await waitByMapOfMaps(pinRoot, list());
    },
  };
}

function childrenOf(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new MusterError('bpf/map', `list pins in ${path}: ${code ?? describeCause(cause)}`, {
      cause,
      remedy: 'run with the group that --gid of the loader names, or as root',
    });
  }
}

/** membarrier(GLOBAL) does not wait where one CPU is online. */
function onlineCpus(): number {
  const ranges = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim().split(',');
  return ranges.reduce((sum, range) => {
    const [first, last] = range.split('-').map(Number) as [number, number | undefined];
    return sum + (last ?? first) - first + 1;
  }, 0);
}

/** An update of a map of maps returns after a grace period, whatever the number of CPUs. */
export async function waitByMapOfMaps(pinRoot: string, directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    const outer = getPinned(join(pinRoot, directory, 'grace'));
    if (outer === undefined) continue;
    const inner = getPinned(join(pinRoot, directory, 'grace-inner'));
    try {
      if (inner === undefined) continue;
      const value = Buffer.alloc(4);
      value.writeUInt32LE(inner);
      await updateAsync(outer, Buffer.alloc(4), value, `${directory}/grace`);
      return;
    } finally {
      closeSync(outer);
      if (inner !== undefined) closeSync(inner);
    }
  }
  throw new MusterError('pins/none', `wait for a grace period: no lineage below ${pinRoot} has its grace map`);
}

/** Reads the text of a lineage's meta map; undefined when there is none. Throws MusterError bpf/map. */
export const readMetaJson = (path: string): string | undefined => readText(join(path, 'meta'));

/** The zero-padded text of a pinned array of one value. */
function readText(path: string): string | undefined {
  const fd = getPinned(path);
  if (fd === undefined) return undefined;
  try {
    const value = Buffer.alloc(mapInfo(fd, path).valueBytes);
    lookup(fd, Buffer.alloc(4), value, path);
    const end = value.indexOf(0);
    return value.toString('utf8', 0, end < 0 ? value.length : end);
  } finally {
    closeSync(fd);
  }
}

class OpenLineage implements PinnedLineage {
  readonly metaJson: string;
  private readonly meta: LineageMeta;
  private readonly control: Mapping;
  private readonly slots: PinnedSlot[][];
  private readonly programFds: { readonly name: string; readonly fd: number; readonly counted: boolean }[] = [];
  private inbox: Mapping | undefined;
  private lockFd: number | undefined;
  /** Memory that is no longer mapped must not be touched: it would end the process. */
  private closed = false;

  constructor(private readonly path: string) {
    const json = readMetaJson(path);
    if (json === undefined) throw new MusterError('pins/none', `open lineage ${path}: no meta pin there`);
    this.metaJson = json;
    try {
      this.meta = parseLineageMeta(json);
    } catch (cause) {
      throw new MusterError('bpf/map', `open lineage ${path}: its meta is not one this version reads`, { cause });
    }
    const opened: { close(): void }[] = [];
    try {
      this.control = mapPinned(path, 'control', controlWords * 8);
      opened.push({ close: () => this.control.unmap() });
      this.slots = this.meta.tables.map((schema) =>
        ([0, 1] as const).map((slot) => {
          const open = new PinnedSlot(path, schema, this.meta.cpus, slot);
          opened.push(open);
          return open;
        }),
      );
      for (const { name, skipsCounted } of this.meta.programs) {
        const fd = getPinned(join(path, `prog-${name}`));
        if (fd === undefined) continue;
        this.programFds.push({ name, fd, counted: skipsCounted });
        opened.push({ close: () => closeSync(fd) });
      }
    } catch (error) {
      for (const o of opened) o.close();
      throw error;
    }
  }

  private slot(table: number, slot: 0 | 1): PinnedSlot {
    const found = this.slots[table]?.[slot];
    assert(found && !this.closed, `lineage ${this.path}: table ${table} read after close`);
    return found;
  }

  private controlWords(): BigUint64Array {
    assert(!this.closed, `lineage ${this.path}: control read after close`);
    return this.control.words;
  }

  readControl(): bigint {
    return Atomics.load(this.controlWords(), 0);
  }

  readGoverned(): bigint {
    return Atomics.load(this.controlWords(), governorWord);
  }

  readClock(): bigint {
    return Atomics.load(this.controlWords(), clockWord);
  }

  writeClock(offsetNs: bigint): void {
    Atomics.store(this.controlWords(), clockWord, offsetNs);
  }

  writeControl(word: bigint): void {
    Atomics.store(this.controlWords(), 0, word);
  }

  readTable(table: number, slot: 0 | 1, into: TableImage): void {
    this.slot(table, slot).read(into);
  }

  readKeys(table: number, slot: 0 | 1, first: number, last: number): Uint8Array {
    return this.slot(table, slot).readKeys(first, last);
  }

  readRetired(): BigUint64Array {
    return this.controlWords().slice(retiredWords, controlWords);
  }

  writeRetired(words: BigUint64Array): void {
    const kept = this.controlWords();
    for (let i = 0; i < controlWords - retiredWords; i++) Atomics.store(kept, retiredWords + i, words[i]!);
  }

  clearSlot(table: number, slot: 0 | 1): void {
    this.slot(table, slot).clear();
  }

  slotEmpty(table: number, slot: 0 | 1): boolean {
    return this.slot(table, slot).empty();
  }

  programs(): ProgramAccount[] {
    return this.programFds.map(({ name, fd, counted }) => {
      const { runs, runTimeNs, recursionMisses } = programInfo(fd, `program ${name}`);
      return { program: name, skipped: counted ? recursionMisses : undefined, runs, runTimeNs };
    });
  }

  account(accounts: Uint8Array, count: number): Uint8Array {
    assert(!this.closed, `lineage ${this.path}: accounts after close`);
    this.inbox ??= mapPinned(this.path, inboxPin, accounts.length);
    const words = new BigUint64Array(accounts.buffer, accounts.byteOffset, accounts.length / 8);
    this.inbox.words.set(words);
    // Opening the iterator's link begins a walk; each byte that is read is one account, taken by the program.
    let fd: number;
    try {
      fd = openSync(join(this.path, `link-${inboxProgram}`), 'r');
    } catch (cause) {
      // Detached in this moment: nobody takes anything any more.
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array();
      throw cause;
    }
    try {
      const answers = new Uint8Array(count);
      return answers.subarray(0, readSync(fd, answers, 0, count, null));
    } finally {
      closeSync(fd);
    }
  }

  tryLock(): boolean {
    if (this.lockFd !== undefined) return true;
    const fd = openSync(this.path, 'r');
    if (tryLockExclusive(fd, this.path)) this.lockFd = fd;
    else closeSync(fd);
    return this.lockFd !== undefined;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const slot of this.slots.flat()) slot.close();
    this.control.unmap();
    this.inbox?.unmap();
    for (const { fd } of this.programFds.splice(0)) closeSync(fd);
    if (this.lockFd !== undefined) closeSync(this.lockFd);
    this.lockFd = undefined;
  }
}
