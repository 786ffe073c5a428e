/**
 * Heavy hitters. A key's hash names one of 2,048 cells; the last word of a row's key is cell × 2, or cell × 2 + 1 in the
 * row that all keys of the cell share that have no row of their own (muster_add_heavy in bpf/sketch.h). Every event is
 * in one row, so tables add up over hosts and time, and for every key, listed or not:
 *
 *   sum of its own rows ≤ true sum ≤ sum of its own rows + sum of its cell's shared rows
 *
 * and a key without a row on a host lies below 1/512 of that host's sum in that generation.
 * Sources: Cormode, Muthukrishnan 2005 (count-min: a cell never says too little); Estan, Varghese 2002 (sample and hold:
 * what is large gets a counter of its own). One line of cells is enough, since what is large has left them.
 */
export const cellBits = 11;
export const cellCount = 1 << cellBits;
/** A key whose cell holds one part in so many of the table's sum gets a row. */
export const heavyPart = 512;

/** The cell of a key, by the stirred hash of its words with the last one zero. */
export const cellOf = (hash: bigint): number => Number(hash >> BigInt(64 - cellBits));

/** What the text of a row's cell label says; undefined where it is none. */
export function readCell(text: string): { readonly cell: number; readonly shared: boolean } | undefined {
  if (!/^\d{1,4}$/.test(text)) return undefined;
  const word = Number(text);
  return { cell: word >> 1, shared: (word & 1) === 1 };
}
