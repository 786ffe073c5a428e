/**
 * Kernel memory that a probe's maps take on a host, computed before anything is loaded. An array map's stride is its
 * value size rounded up to 8 bytes; one that can be mapped takes whole pages, and one more for its head. A hash holds
 * all its elements from the start.
 * Source: kernel/bpf/arraymap.c, hashtab.c (element header 48 bytes, bucket 16 bytes, one spare element per CPU),
 * ringbuf.c, stackmap.c, bloom_filter.c; numbers of enum bpf_map_type.
 */
import type { TableSchema } from '../../shared/contract/lineage.ts';
import type { MapShape } from '../object/maps.ts';

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
  const ledger = cpus * 128;
  return 2 * [keys, cells, guesses, ledger].reduce((sum, bytes) => sum + pageBytes + pages(bytes), ids);
}

const mappable = 1 << 10;
const withoutPreallocation = 1;

/** Bytes of a map that is no table's. Of a kind that is not known here, what its elements would take in a hash. */
export function mapBytes(map: MapShape, cpus: number): number {
  const { type, keyBytes, valueBytes, flags } = map;
  const count = map.count === 0 ? cpus : map.count;
  const hash = (value: number, spare: number): number =>
    hashHeadBytes + powerOfTwo(count) * 16 + (count + spare) * (48 + words(keyBytes) + value);
  const perCpu = cpus * words(valueBytes);
  switch (type) {
    case 2: // array
      return flags & mappable ? pageBytes + pages(count * words(valueBytes)) : 320 + count * words(valueBytes);
    case 6: // per-CPU array
      return 320 + count * (8 + perCpu);
    case 3: // of programs, of perf events, of cgroups, of maps: a pointer each
    case 4:
    case 8:
    case 12:
      return 320 + count * 8;
    case 5: // per-CPU hash, with and without eviction
    case 10:
      return hash(8 + perCpu, flags & withoutPreallocation ? 0 : cpus);
    case 7: // stacks
      return powerOfTwo(count) * (8 + 32 + words(valueBytes));
    case 27: // ring buffer: three pages of head, then the bytes
      return 4 * pageBytes + pages(map.count);
    case 30: // Bloom filter: up to two bytes a value
      return 320 + powerOfTwo(count * 2);
    default:
      return hash(words(valueBytes), cpus);
  }
}

export const billBytes = (tables: readonly TableSchema[], cpus: number, others: readonly MapShape[] = []): number =>
  tables.reduce((sum, table) => sum + tableBytes(table, cpus), 0) +
  others.reduce((sum, map) => sum + mapBytes(map, cpus), 0);
