/**
 * Kernel memory that a probe's tables take on a host, computed before anything is loaded. An array map's stride is its
 * value size rounded up to 8 bytes; one that can be mapped takes whole pages, and one more for its head. A hash holds
 * all its elements from the start.
 * Source: kernel/bpf/arraymap.c, hashtab.c (element header 48 bytes, bucket 16 bytes, one spare element per CPU).
 */
import type { TableSchema } from '../../shared/contract/lineage.ts';

const pageBytes = 4096;
const hashHeadBytes = 1024;
const words = (bytes: number): number => Math.ceil(bytes / 8) * 8;
const pages = (bytes: number): number => Math.ceil(bytes / pageBytes) * pageBytes;
const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

/** Bytes of both slots of one table. */
export function tableBytes(table: TableSchema, cpus: number): number {
  const { rows, hints, keyWords, valueCount } = table;
  const element = 48 + keyWords * 8 + words(4);
  const ids = hashHeadBytes + powerOfTwo(rows) * 16 + (rows + cpus) * element;
  const keys = (rows + 1) * (1 + keyWords) * 8;
  const cells = cpus * (rows + 1) * valueCount * 8;
  const guesses = cpus * hints * words(4);
  const ledger = cpus * 64;
  return 2 * [keys, cells, guesses, ledger].reduce((sum, bytes) => sum + pageBytes + pages(bytes), ids);
}

export const billBytes = (tables: readonly TableSchema[], cpus: number): number =>
  tables.reduce((sum, table) => sum + tableBytes(table, cpus), 0);
