/**
 * The pinned lineages of one simulated host and the PinnedTables port onto them, for one process. Every call of the
 * port is a place where that process can be killed: `gate` throws then, and a half-cleared slot stays half-cleared.
 */
import { encodeControl, retiredWords } from '../../services/shared/contract/control.ts';
import { parseLineageMeta, type LineageMeta, type TableSchema } from '../../services/shared/contract/lineage.ts';
import { clockOffset } from '../../services/shared/contract/seconds.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import type {
  PinnedLineage,
  PinnedTables,
  ProgramAccount,
  TableImage,
} from '../../services/shared/runtime/ports/pinned-tables.ts';
import type { ProbeModel } from './catalogue.ts';
import { clearParts, KernelSlot } from './kernel.ts';
import type { Random } from './random.ts';

/** One life of a probe's maps, with the truth of what was counted in them. */
export class SimLineage {
  control = encodeControl({ slot: 0, state: 'counting', generation: 1n });
  /** The clock by which programs tell seconds. */
  clock: bigint;
  /** The truth of tables that are kept by second: by table, what was counted in each Unix second. */
  readonly seconds: readonly Map<number, number>[];
  readonly retired = new BigUint64Array(2 * retiredWords);
  /** By table, by slot. */
  readonly slots: readonly (readonly [KernelSlot, KernelSlot])[];
  /** The truth, by table, two limbs each: what was counted of each key, and past the last key what found no row. */
  readonly truth: readonly Uint32Array[];
  attached = true;
  /** When its programs were detached in order, as the directory's own date says; undefined while they are attached. */
  detachedWallNs: bigint | undefined;
  /** The process that may seal and clear. */
  lockedBy: object | undefined;
  /** When the last program that is running now will have ended. */
  busyUntilUs = 0;
  skipped = 0n;
  readonly metaJson: string;

  constructor(
    readonly model: ProbeModel,
    readonly uuid: string,
    readonly bootId: string,
    readonly cpus: number,
    created: { readonly boottimeNs: bigint; readonly wallNs: bigint },
    tag = '0123456789abcdef',
  ) {
    this.clock = clockOffset(created);
    this.seconds = model.tables.map(() => new Map<number, number>());
    this.truth = model.keys.map((k) => new Uint32Array((k.count + 1) * 2));
    const slot = (schema: TableSchema, t: number): KernelSlot =>
      new KernelSlot(schema, cpus, model.keys[t]!, this.truth[t]!);
    this.slots = model.tables.map((schema, t) => [slot(schema, t), slot(schema, t)]);
    this.metaJson = JSON.stringify({
      format: 1,
      probe: model.probe,
      uuid,
      bootId,
      createdBoottimeNs: `${created.boottimeNs}`,
      createdWallNs: `${created.wallNs}`,
      cpus,
      scope: '',
      schemaHash: model.schemaHash,
      programs: [{ name: 'on_event', hook: 'tp_btf/event', tag, skipsCounted: true }],
      tables: model.tables,
    });
  }

  /** Steps of programs that run now. */
  private readonly pending = new Set<() => void>();
  private parsed: LineageMeta | undefined;

  /** What the loader reads in the meta map. */
  get meta(): LineageMeta {
    return (this.parsed ??= parseLineageMeta(this.metaJson));
  }

  /** A step of a running program, to be called once: at its time, or when whoever detaches has waited for it. */
  running(step: () => void): () => void {
    const once = (): void => {
      if (this.pending.delete(once)) step();
    };
    this.pending.add(once);
    return once;
  }

  /** No program begins any more, and those that run are waited for. */
  detach(wallNs: bigint): void {
    this.attached = false;
    this.detachedWallNs = wallNs;
    for (const once of this.pending) once();
  }

  get directory(): string {
    return `${this.model.probe}/${this.uuid}`;
  }

  /** The second that an event of a table falls into now; noted, as truth is. */
  secondOf(table: number, n: number, now: { readonly boottimeNs: bigint; readonly wallNs: bigint }): number {
    const second = Number(now.wallNs / 1_000_000_000n);
    this.seconds[table]!.set(second, (this.seconds[table]!.get(second) ?? 0) + n);
    return Number((BigInt.asUintN(64, now.boottimeNs + this.clock) / 1_000_000_000n) % 10n);
  }
}

/** What a process passes at each call: throws when it is killed here, or when the call is to fail. */
export type Gate = (call: string) => void;

export interface PinFaults {
  /** Parts of a clear that fail without an error are left as they are. */
  clearLeaves: number;
}

export function createPins(
  lineages: ReadonlyMap<string, SimLineage>,
  owner: object,
  gate: Gate,
  faults: PinFaults,
  random: Random,
): PinnedTables {
  return {
    list() {
      gate('list');
      return [...lineages.keys()];
    },
    open(directory) {
      gate('open');
      const lineage = lineages.get(directory);
      if (!lineage) throw new MusterError('pins/none', 'open lineage: no such directory', { values: { directory } });
      return openPins(lineage, owner, gate, faults, random);
    },
    gracePeriod: () => Promise.reject(new Error('the world waits for grace periods')),
  };
}

function openPins(lineage: SimLineage, owner: object, gate: Gate, faults: PinFaults, random: Random): PinnedLineage {
  const slotOf = (table: number, slot: 0 | 1): KernelSlot => lineage.slots[table]![slot];
  return {
    metaJson: lineage.metaJson,
    readControl() {
      gate('readControl');
      return lineage.control;
    },
    readClock() {
      gate('readClock');
      return lineage.clock;
    },
    writeClock(offsetNs) {
      gate('writeClock');
      lineage.clock = offsetNs;
    },
    writeControl(word) {
      gate('writeControl');
      lineage.control = word;
      gate('after writeControl');
    },
    readTable(table, slot, into) {
      gate('readTable');
      copyTable(slotOf(table, slot), into);
    },
    readKeys(table, slot, first, last) {
      gate('readKeys');
      return copyKeys(slotOf(table, slot), first, last);
    },
    readRetired() {
      gate('readRetired');
      return lineage.retired.slice();
    },
    writeRetired(words) {
      gate('writeRetired');
      // Word by word, as a crash may leave it.
      for (let i = 0; i < words.length; i++) {
        if (lineage.retired[i] === words[i]) continue;
        lineage.retired[i] = words[i]!;
        gate('within writeRetired');
      }
    },
    clearSlot(table, slot) {
      gate('clearSlot');
      const start = random.below(clearParts.length);
      for (let i = 0; i < clearParts.length; i++) {
        if (faults.clearLeaves > 0 && random.chance(0.3)) faults.clearLeaves--;
        else slotOf(table, slot).clear(clearParts[(start + i) % clearParts.length]!);
        gate('within clearSlot');
      }
    },
    slotEmpty(table, slot) {
      gate('slotEmpty');
      return slotOf(table, slot).empty;
    },
    programs(): ProgramAccount[] {
      gate('programs');
      return [{ program: 'on_event', skipped: lineage.skipped, runs: 0n, runTimeNs: 0n }];
    },
    account: () => new Uint8Array(),
    tryLock() {
      gate('tryLock');
      if (lineage.lockedBy !== undefined && lineage.lockedBy !== owner) return false;
      lineage.lockedBy = owner;
      return true;
    },
    close() {
      if (lineage.lockedBy === owner) lineage.lockedBy = undefined;
    },
  };
}

function copyTable(slot: KernelSlot, into: TableImage): void {
  const { rows, valueCount } = slot.schema;
  const run = (slot.issued + 1) * valueCount * 2;
  const stride = (rows + 1) * valueCount * 2;
  into.rowsIssued = slot.issued;
  if (into.cells.length < run * slot.cpus) into.cells = new Uint32Array(stride * slot.cpus);
  for (let cpu = 0; cpu < slot.cpus; cpu++)
    into.cells.set(slot.cells.subarray(cpu * stride, cpu * stride + run), cpu * run);
  if (into.ledger.length < slot.ledger.length) into.ledger = new Uint32Array(slot.ledger.length);
  into.ledger.set(slot.ledger);
}

function copyKeys(slot: KernelSlot, first: number, last: number): Uint8Array {
  const size = 8 * (1 + slot.schema.keyWords);
  const bytes = new Uint8Array((last - first + 1) * size);
  for (let row = first; row <= last; row++) {
    const key = slot.marks[row]! - 1;
    if (key >= 0) bytes.set(slot.catalogue.entries[key]!, (row - first) * size);
  }
  return bytes;
}
