/** Sorting in slices: runs of a few thousand, then merged two by two, so that others get their turn in between. */

const perYield = 4096;

/** A new array in the order of `compare`; equal ones keep theirs. */
export function* sorted<T>(items: readonly T[], compare: (a: T, b: T) => number): Generator<void, T[]> {
  let from: T[] = [];
  for (let at = 0; at < items.length; at += perYield) {
    if (at > 0) yield;
    for (const item of items.slice(at, at + perYield).sort(compare)) from.push(item);
  }
  for (let run = perYield; run < items.length; run *= 2) {
    const into: T[] = new Array<T>(items.length);
    for (let start = 0, at = 0; start < items.length; start += 2 * run) {
      const middle = Math.min(start + run, items.length);
      const end = Math.min(middle + run, items.length);
      for (let [a, b] = [start, middle]; at < end;) {
        into[at++] = b >= end || (a < middle && compare(from[a]!, from[b]!) <= 0) ? from[a++]! : from[b++]!;
        if (at % perYield === 0) yield;
      }
    }
    from = into;
  }
  return from;
}
