/**
 * What is to be sent of a table: rows whose sums differ from those last sent, or, for a keyframe, all that counted.
 * Invariant: `sent` is what the bus was given, confirmed or not; a failed publish is answered by a keyframe.
 */
import type { TableRows } from '../kernel/table-rows.ts';

export interface SentRows {
  /** Laid out as TableRows.values. */
  values: Uint32Array;
  /** 1 for rows whose labels were sent since the last keyframe began. */
  defined: Uint8Array;
  /** Age of the generation, in seconds, when the row last changed. */
  changedAtS: Uint32Array;
}

/** Row numbers, ascending: ids[0…count-1]. */
export interface ChangedRows {
  ids: Uint32Array;
  count: number;
}

export const createSentRows = (): SentRows => ({
  values: new Uint32Array(0),
  defined: new Uint8Array(0),
  changedAtS: new Uint32Array(0),
});

export const createChangedRows = (): ChangedRows => ({ ids: new Uint32Array(0), count: 0 });

/** Finds the rows to send. A row whose key is not known yet waits: it is one that has only just been issued. */
export function collectChanged(rows: TableRows, sent: SentRows, whole: boolean, ageS: number, into: ChangedRows): void {
  const count = rows.rowsIssued + 1;
  if (sent.defined.length < rows.known.length) growSent(sent, rows);
  if (into.ids.length < count) into.ids = new Uint32Array(rows.known.length);
  const stride = rows.schema.valueCount * 2;
  const { values, known } = rows;
  const last = sent.values;
  let found = 0;
  for (let row = 0, at = 0; row < count; row++, at += stride) {
    let differs = false;
    let counted = false;
    for (let i = at; i < at + stride; i++) {
      const value = values[i]!;
      if (value !== 0) counted = true;
      if (value !== last[i]) differs = true;
    }
    if (!differs && !(whole && counted)) continue;
    if (row !== 0 && known[row] === 0) continue;
    if (differs) sent.changedAtS[row] = ageS;
    into.ids[found++] = row;
  }
  into.count = found;
}

function growSent(sent: SentRows, rows: TableRows): void {
  const room = rows.known.length;
  const values = new Uint32Array(rows.values.length);
  values.set(sent.values);
  const defined = new Uint8Array(room);
  defined.set(sent.defined);
  const changedAtS = new Uint32Array(room);
  changedAtS.set(sent.changedAtS);
  Object.assign(sent, { values, defined, changedAtS });
}

/** Notes that the changed rows, with their definitions, were given to the bus. */
export function markSent(rows: TableRows, sent: SentRows, changed: ChangedRows): void {
  const stride = rows.schema.valueCount * 2;
  for (let k = 0; k < changed.count; k++) {
    const row = changed.ids[k]!;
    const at = row * stride;
    for (let i = at; i < at + stride; i++) sent.values[i] = rows.values[i]!;
    sent.defined[row] = 1;
  }
}

/** Rows in use that did not change for `idleS` seconds, at this age. */
export function countIdle(rows: TableRows, sent: SentRows, ageS: number, idleS: number): number {
  let idle = 0;
  const end = Math.min(rows.rowsIssued + 1, sent.changedAtS.length);
  for (let row = 1; row < end; row++) if (ageS - sent.changedAtS[row]! >= idleS) idle++;
  return idle;
}
