/**
 * Sums the CPUs' cells of one image. Each cell only grows, and a row's sum is taken from a copy, so a row's sums only
 * grow from read to read, whichever instant each cell was copied at: what the join by maximum needs.
 */
import type { TableImage } from '../../shared/runtime/ports/pinned-tables.ts';

/** Ledger fields: seen, then failed by errno class. */
export const ledgerFields = 5;

/** into[value] = Σ over CPUs, values of rows 0…rowsIssued in row order, two limbs each. */
export function sumCells(image: TableImage, cpus: number, valueCount: number, into: Uint32Array): void {
  const limbs = (image.rowsIssued + 1) * valueCount * 2;
  const cells = image.cells;
  into.set(cells.subarray(0, limbs));
  for (let cpu = 1; cpu < cpus; cpu++) addRun(into, cells, cpu * limbs, limbs);
}

/** Sums the CPUs' ledgers into `into`: `ledgerFields` numbers of two limbs. */
export function sumLedger(image: TableImage, cpus: number, into: Uint32Array): void {
  const limbs = ledgerFields * 2;
  into.set(image.ledger.subarray(0, limbs));
  for (let cpu = 1; cpu < cpus; cpu++) addRun(into, image.ledger, cpu * limbs, limbs);
}

/** Sampling fields: seen, given, both for the second value; then the largest weight of a pick. */
export const samplingFields = 5;
const weightAt = 8;

/** Sums the CPUs' accounts of what was sampled into `into`; the weight is the largest of them. */
export function sumSampling(sampling: Uint32Array, cpus: number, into: Uint32Array): void {
  const limbs = samplingFields * 2;
  into.fill(0);
  for (let cpu = 0; cpu < cpus; cpu++) {
    const from = cpu * limbs;
    addRun(into, sampling, from, weightAt);
    const high = sampling[from + weightAt + 1]!;
    const low = sampling[from + weightAt]!;
    const more = high > into[weightAt + 1]! || (high === into[weightAt + 1]! && low > into[weightAt]!);
    if (!more) continue;
    into[weightAt] = low;
    into[weightAt + 1] = high;
  }
}

/** into[i] += from[start + i] for 64-bit numbers of two limbs; most cells of most CPUs are zero. */
function addRun(into: Uint32Array, from: Uint32Array, start: number, limbs: number): void {
  for (let i = 0; i < limbs; i += 2) {
    const low = from[start + i]!;
    const high = from[start + i + 1]!;
    if (low === 0 && high === 0) continue;
    const sum = into[i]! + low;
    into[i] = sum;
    into[i + 1] = into[i + 1]! + high + (sum > 0xffffffff ? 1 : 0);
  }
}
