/**
 * Port: the pinned maps of the lineages on this host, as an unprivileged process sees them.
 * Real: adapters/libbpf-pinned-tables.ts. Fake: test/simulation. Layouts: contract/lineage.ts.
 */

/** A copy of the part of a slot that is in use. All numbers are u64 as two u32 limbs, low first. */
export interface TableImage {
  /** Rows issued so far, row 0 (overflow) not counted: rows 0…rowsIssued are valid. Never above the capacity. */
  rowsIssued: number;
  /** `cpus` runs of (rowsIssued + 1) × valueCount values: index ((cpu · (rowsIssued+1) + row) · valueCount + v) · 2. */
  cells: Uint32Array;
  /** Per CPU: seen, failed[4]: index (cpu · 5 + field) · 2. */
  ledger: Uint32Array;
  /**
   * Per CPU, of what was sampled: seen, given, and both for the second value, largest weight: index (cpu · 5 + field) · 2.
   * Absent where that is not told.
   */
  sampling?: Uint32Array;
}

export interface ProgramAccount {
  readonly program: string;
  /** Runs the kernel skipped; undefined where it keeps no counter. */
  readonly skipped: bigint | undefined;
  /** Runs and ns while statistics were on. */
  readonly runs: bigint;
  readonly runTimeNs: bigint;
}

/** A probe that could not be loaded, or (program not empty) one program of it; as contract/lineage.ts Missing. */
export interface MissingProbe {
  readonly probe: string;
  readonly program: string;
  readonly hook: string;
  readonly reason: string;
}

/** One lineage, opened. Reading makes no system call per row; nothing here needs a capability. */
export interface PinnedLineage {
  /** The text of the lineage's meta map (contract/lineage.ts parses it). */
  readonly metaJson: string;
  /** The control word (contract/control.ts). */
  readControl(): bigint;
  /** The governor word (contract/control.ts). Absent: that is not told. */
  readGoverned?(): bigint;
  /** The clock word (contract/control.ts), and storing it, which needs no lock. Absent: seconds are not told here. */
  readClock?(): bigint;
  writeClock?(offsetNs: bigint): void;
  /** Stores the control word in one 64-bit store. Needs the seal lock. */
  writeControl(word: bigint): void;
  /** Copies what is in use of a table's slot into `into`, growing its arrays when needed. */
  readTable(table: number, slot: 0 | 1, into: TableImage): void;
  /** Copies key entries (mark word, then key words) of rows first…last; `bytes` = (last-first+1) × (1+keyWords) × 8. */
  readKeys(table: number, slot: 0 | 1, first: number, last: number): Uint8Array;
  /** A copy of the two retired records: words 32…95 of the control map (contract/control.ts), 64 in all. */
  readRetired(): BigUint64Array;
  /** Stores them word by word; words that stay the same are safe to be stored again at any point. */
  writeRetired(words: BigUint64Array): void;
  /** Zeroes every map of a table's slot: ids, keys with marks, cells, ledger, hints. */
  clearSlot(table: number, slot: 0 | 1): void;
  /** True when ids, keys, marks, cells, ledger and row counter of the slot are all zero or absent. */
  slotEmpty(table: number, slot: 0 | 1): boolean;
  programs(): ProgramAccount[];
  /** Has the lineage's program count what is laid in (contract/accounts.ts); a byte for each that it took up, in order. */
  account(accounts: Uint8Array, count: number): Uint8Array;
  /** Takes the exclusive lock for sealing and clearing; false when another process holds it. */
  tryLock(): boolean;
  close(): void;
}

export interface PinnedTables {
  /** Directories of lineages below the pin root, e.g. "syscalls/3f2a…". Empty when there are none. */
  list(): string[];
  /** Of these, the ones whose probe was unloaded: nothing counts in them any more. Absent: that is not told. */
  ended?(directories: readonly string[]): string[];
  /** Of these, the ones whose links are gone, and since when (wall clock, Unix ns). Absent: that is not told. */
  detached?(directories: readonly string[]): ReadonlyMap<string, bigint>;
  /** Probes that the loader could not load here. Absent: that is not told. */
  missing?(): readonly MissingProbe[];
  /** Opens one. Throws MusterError bpf/map or pins/none. */
  open(directory: string): PinnedLineage;
  /** Resolves after every program that was running at the call has ended; never blocks the event loop. */
  gracePeriod(): Promise<void>;
}
