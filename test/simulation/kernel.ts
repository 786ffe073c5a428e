/**
 * The kernel side of one table's slot, as bpf/muster.bpf.h writes it: ids, hints, keys with ready marks, cells, ledger.
 * An event is two steps, so that a read or a flip may come between them: `begin` (seen) and `finish` (the cell).
 */
import type { TableSchema } from '../../services/shared/contract/lineage.ts';
import { bySecond } from '../../services/shared/contract/seconds.ts';
import type { KeyCatalogue } from './catalogue.ts';

/** Stages in which a slot can be cleared; a kill may leave any subset done. */
export const clearParts = ['ids', 'keys', 'cells', 'ledger', 'issued', 'hints'] as const;
export type ClearPart = (typeof clearParts)[number];

const failedFull = 1;

export class KernelSlot {
  /** Row by key, 0: none. The hash and, apart from it, what the CPUs remember. */
  readonly ids: Int32Array;
  readonly hints: Int32Array;
  /** Key of each row + 1; 0: its mark is not set. */
  readonly marks: Int32Array;
  issued = 0;
  /** A row issued to each CPU that no key has yet, 0: none. Part of the ledger. */
  readonly spares: Int32Array;
  readonly cells: Uint32Array;
  readonly ledger: Uint32Array;

  /** `truth` is raised by what each key's events really came to: at its key, or past the last key without a row. */
  constructor(
    readonly schema: TableSchema,
    readonly cpus: number,
    readonly catalogue: KeyCatalogue,
    private readonly truth: Uint32Array,
  ) {
    this.ids = new Int32Array(catalogue.count);
    this.hints = new Int32Array(catalogue.count);
    this.marks = new Int32Array(schema.rows + 1);
    this.spares = new Int32Array(cpus);
    this.cells = new Uint32Array(cpus * (schema.rows + 1) * schema.valueCount * 2);
    this.ledger = new Uint32Array(cpus * 5 * 2);
  }

  /** The ledger's part of an event. */
  begin(cpu: number, n: number): void {
    raise(this.ledger, cpu * 10, n);
  }

  /** The row's part of it; `race`: another CPU inserts the same key at once; `second`: that it falls into, 0…9. */
  finish(cpu: number, key: number, n: number, sum: number, race: boolean, second = 0): void {
    const row = this.rowOf(cpu, key, n, race);
    const { rows, valueCount } = this.schema;
    const at = (cpu * (rows + 1) + row) * valueCount * 2;
    raise(this.cells, at, n);
    raise(this.truth, (row === 0 ? this.catalogue.count : key) * 2, n);
    if (bySecond(this.schema)) raise(this.cells, at + 2 + second * 2, n);
    else if (valueCount > 1) raise(this.cells, at + 2, sum);
  }

  private rowOf(cpu: number, key: number, n: number, race: boolean): number {
    const hint = this.hints[key]!;
    if (hint !== 0 && this.marks[hint] === key + 1) return hint;
    let row = this.ids[key]!;
    if (row === 0) {
      row = this.take(cpu);
      if (row === 0) {
        raise(this.ledger, cpu * 10 + failedFull * 2, n);
        return 0;
      }
      const other = (cpu + 1) % this.cpus;
      if (race && other !== cpu) this.spares[other] = this.take(other);
      this.marks[row] = key + 1;
      this.ids[key] = row;
    }
    this.hints[key] = row;
    return row;
  }

  private take(cpu: number): number {
    const row = this.spares[cpu]! || (this.issued < this.schema.rows ? ++this.issued : 0);
    this.spares[cpu] = 0;
    return row;
  }

  clear(part: ClearPart): void {
    if (part === 'ledger') this.spares.fill(0);
    if (part === 'issued') this.issued = 0;
    else if (part === 'keys') this.marks.fill(0);
    else this[part].fill(0);
  }

  /** What a user process may verify; hints are harmless once no key is marked. */
  get empty(): boolean {
    return this.issued === 0 && allZero(this.ids) && allZero(this.marks) && allZero(this.cells) && allZero(this.ledger);
  }
}

function allZero(a: Int32Array | Uint32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== 0) return false;
  return true;
}

/** limbs[at] += n for 0 ≤ n < 2^53. */
export function raise(limbs: Uint32Array, at: number, n: number): void {
  const low = limbs[at]! + (n >>> 0);
  limbs[at] = low;
  limbs[at + 1] = limbs[at + 1]! + Math.floor(n / 0x100000000) + (low > 0xffffffff ? 1 : 0);
}
