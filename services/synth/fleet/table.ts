/**
 * What a kernel would hold for one synthetic host: one table, its generation, rows that only grow, and keys that come
 * and go. Rows firstAlive … rowsIssued count at each read; churn ends the oldest and begins new ones behind.
 */
import { schemaHash, type TableSchema } from '../../shared/contract/lineage.ts';

/** Label values: key k is service k mod 100, operation k / 100. */
export const services = 100;
export const serviceOf = (key: number): string => `service-${String(key % services).padStart(2, '0')}`;
export const operationOf = (key: number): string => `op-${Math.floor(key / services)}`;

export interface KernelTable {
  generation: bigint;
  /** Value of row r at r; exact up to 2^53. Row 0 is the overflow row and stays 0. */
  values: Float64Array;
  keys: Uint32Array;
  firstAlive: number;
  rowsIssued: number;
  nextKey: number;
  seen: number;
  /** Σ seen of the generations before. */
  retiredSeen: bigint;
}

export const capacityOf = (rows: number, churn: number): number => (churn === 0 ? rows : rows * 2 + churn * 8);

export const schemaOf = (capacity: number): TableSchema => ({
  name: 'synthetic',
  kind: 'counter',
  unit: 'events',
  help: 'events of a generator; no kernel counted them',
  rows: capacity,
  hints: 1,
  keyWords: 1,
  valueCount: 1,
  labels: [
    { name: 'service', meaning: 'text', offset: 0, size: 4 },
    { name: 'operation', meaning: 'text', offset: 4, size: 4 },
  ],
});

export const hashOf = (schema: TableSchema): bigint => schemaHash([schema]);

export function createKernelTable(rows: number, capacity: number, wide: boolean, salt: number): KernelTable {
  const t: KernelTable = {
    generation: 1n,
    values: new Float64Array(capacity + 1),
    keys: new Uint32Array(capacity + 1),
    firstAlive: 1,
    rowsIssued: 0,
    nextKey: 0,
    seen: 0,
    retiredSeen: 0n,
  };
  for (let r = 0; r < rows; r++) issue(t, t.nextKey++);
  if (wide) {
    for (let row = 1; row <= rows; row++) {
      const value = Math.floor(10 ** (3 + 9 * fraction(row + salt * 7919)));
      t.values[row] = value;
      t.seen += value;
    }
  }
  return t;
}

function issue(t: KernelTable, key: number): void {
  t.rowsIssued++;
  t.keys[t.rowsIssued] = key;
  t.values[t.rowsIssued] = 0;
}

/** One interval of counting: every living row grows. Returns what was counted. */
export function countInterval(t: KernelTable, salt: number): number {
  const { values, firstAlive, rowsIssued } = t;
  let sum = 0;
  for (let row = firstAlive, n = salt; row <= rowsIssued; row++) {
    n = (n * 5 + 3) & 127;
    const by = n + 1;
    values[row] = values[row]! + by;
    sum += by;
  }
  t.seen += sum;
  return sum;
}

/** Ends the oldest keys and begins as many. False when the table has no room: it must be sealed first. */
export function churnKeys(t: KernelTable, keys: number): boolean {
  if (t.rowsIssued + keys >= t.values.length) return false;
  for (let k = 0; k < keys; k++) issue(t, t.nextKey++);
  t.firstAlive += keys;
  return true;
}

/** Flips the slot: living keys get new rows in the next generation, from zero. The sealed slot is returned. */
export function seal(t: KernelTable): KernelTable {
  const sealed: KernelTable = { ...t, values: t.values.slice(), keys: t.keys.slice() };
  const alive = t.keys.slice(t.firstAlive, t.rowsIssued + 1);
  t.generation++;
  t.retiredSeen += BigInt(t.seen);
  t.seen = 0;
  t.firstAlive = 1;
  t.rowsIssued = 0;
  for (const key of alive) issue(t, key);
  return sealed;
}

/** A number in [0, 1) that looks like chance and is the same each time. */
export function fraction(n: number): number {
  let x = Math.imul(n ^ 0x9e3779b9, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 0x1_0000_0000;
}

/** Adds what a table counted to sums by service. */
export function addTo(sums: bigint[], table: KernelTable): void {
  for (let row = 1; row <= table.rowsIssued; row++) {
    const s = table.keys[row]! % services;
    sums[s] = sums[s]! + BigInt(table.values[row]!);
  }
}
