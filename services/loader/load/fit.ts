/**
 * Makes tables fit the host's budget of kernel memory, by one rule. Pure.
 * What a row costs grows with the possible CPUs, and authors choose rows for common hosts: with more than 8 CPUs, while
 * the probes do not fit, the dearest table is halved, down to rows × 8 / CPUs (it then costs what it would with 8), but
 * not below 256 or what its kind needs. A table whose rows were given by hand is left as it is. What still does not fit is refused, the last
 * named first: the author or the operator has to choose.
 */
import { hintsFor, rowsLeast } from '../../shared/contract/table-maps.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { ObjectSpec } from '../object/object.ts';
import { billBytes, mapBytes, tableBytes } from './bill.ts';

const commonCpus = 8;
const rowsMin = 256;

export interface Candidate {
  readonly probe: string;
  readonly spec: Pick<ObjectSpec, 'tables' | 'otherMaps'>;
  /** Rows given by hand, by table. */
  readonly rows: ReadonlyMap<string, number>;
}

export interface Shrunk {
  readonly table: string;
  readonly declared: number;
  readonly rows: number;
}

export interface Fitted {
  /** By table. */
  readonly rows: ReadonlyMap<string, number>;
  readonly shrunk: readonly Shrunk[];
}

export interface Fit {
  /** By probe. */
  readonly fitted: ReadonlyMap<string, Fitted>;
  readonly refused: ReadonlyMap<string, MusterError>;
}

interface Sizing {
  readonly probe: string;
  readonly table: Candidate['spec']['tables'][number];
  readonly least: number;
  readonly byHand: boolean;
  rows: number;
}

/** `freeBytes`: what is left of the budget for all candidates together. */
export function fit(candidates: readonly Candidate[], cpus: number, freeBytes: number): Fit {
  const refused = new Map<string, MusterError>();
  const rest = [...candidates];
  for (;;) {
    const sizings = rest.flatMap((candidate) => candidate.spec.tables.map((t) => sizing(candidate, t, cpus)));
    const others = rest.reduce(
      (sum, { spec }) => sum + spec.otherMaps.reduce((bytes, map) => bytes + mapBytes(map, cpus), 0),
      0,
    );
    if (rest.length === 0 || shrink(sizings, cpus, freeBytes - others)) {
      return { fitted: new Map(rest.map((c) => [c.probe, fittedOf(c.probe, sizings)])), refused };
    }
    const last = rest.pop()!;
    refused.set(last.probe, refusal(last, cpus, freeBytes - billOf(rest, cpus)));
  }
}

function sizing({ probe, rows: given }: Candidate, table: Sizing['table'], cpus: number): Sizing {
  const byHand = given.get(table.name);
  const rows = byHand ?? table.rows;
  const least =
    byHand === undefined && cpus > commonCpus
      ? Math.max(Math.min(rows, rowsMin), Math.ceil((rows * commonCpus) / cpus), rowsLeast(table))
      : rows;
  return { probe, table, rows, least, byHand: byHand !== undefined };
}

const bytesOf = ({ table, rows }: Sizing, cpus: number): number => tableBytes(sized(table, rows), cpus);

/** False when they do not fit at their least sizes. */
function shrink(sizings: readonly Sizing[], cpus: number, freeBytes: number): boolean {
  const total = (): number => sizings.reduce((sum, s) => sum + bytesOf(s, cpus), 0);
  while (total() > freeBytes) {
    const open = sizings.filter((s) => s.rows > s.least);
    if (open.length === 0) return false;
    const dearest = open.reduce((x, y) => (bytesOf(y, cpus) > bytesOf(x, cpus) ? y : x));
    dearest.rows = Math.max(dearest.least, Math.ceil(dearest.rows / 2));
  }
  return true;
}

function fittedOf(probe: string, sizings: readonly Sizing[]): Fitted {
  const own = sizings.filter((s) => s.probe === probe);
  return {
    rows: new Map(own.map((s) => [s.table.name, s.rows])),
    shrunk: own
      .filter((s) => !s.byHand && s.rows < s.table.rows)
      .map((s) => ({ table: s.table.name, declared: s.table.rows, rows: s.rows })),
  };
}

const sized = (table: Sizing['table'], rows: number): Sizing['table'] => ({ ...table, rows, hints: hintsFor(rows) });

const leastTables = (candidate: Candidate, cpus: number): Sizing['table'][] =>
  candidate.spec.tables.map((t) => sized(t, sizing(candidate, t, cpus).least));

const billOf = (candidates: readonly Candidate[], cpus: number): number =>
  candidates.reduce((sum, c) => sum + billBytes(leastTables(c, cpus), cpus, c.spec.otherMaps), 0);

function refusal(candidate: Candidate, cpus: number, freeBytes: number): MusterError {
  const tables = leastTables(candidate, cpus);
  const parts = [
    ...tables.map((t) => ({
      what: `table ${t.name}`,
      how: `${cpus} possible CPUs × ${t.rows} rows × ${t.valueCount} × 8 bytes × 2 slots, and its keys, ids and hints`,
      bytes: tableBytes(t, cpus),
    })),
    ...candidate.spec.otherMaps.map((m) => ({
      what: `map ${m.name}`,
      how: `${m.count} elements`,
      bytes: mapBytes(m, cpus),
    })),
  ].sort((x, y) => y.bytes - x.bytes);
  const [dearest] = parts;
  const needed = parts.reduce((sum, part) => sum + part.bytes, 0);
  return new MusterError(
    'bpf/memory',
    `${dearest!.what}: probe ${candidate.probe} needs ${mebibytes(needed)} of kernel memory here, and ${mebibytes(Math.max(0, freeBytes))} of the budget are free`,
    {
      cause: `${dearest!.what} alone takes ${mebibytes(dearest!.bytes)}: ${dearest!.how}`,
      remedy: 'declare fewer rows, give fewer with --rows TABLE=N, or raise the keeper’s --memory-budget',
    },
  );
}

export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const units: Readonly<Record<string, number>> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** "64MiB" → bytes; undefined when it is no size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,12})(|KiB|MiB|GiB)$/.exec(text);
  return match ? Number(match[1]) * units[match[2]!]! : undefined;
}
