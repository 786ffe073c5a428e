/**
 * Folding: the rows of a generation that is final and complete move into base, and are forgotten. A folded generation
 * that arrives again counts nothing (foldedThrough), and none is folded before Σ rows equals what the kernel saw.
 * What a generation saw and this store never got is not guessed: `lost` is the difference to the sum that the lineage
 * itself carries over its retired generations.
 */
import { formatBlobName } from '../../shared/contract/checkpoint.ts';
import { addSampled, nothingSampled } from '../../shared/algebra/sampling.ts';
import { rowsPerPage } from '../../shared/algebra/row-table.ts';
import type { FoldedLedger, GenerationState, HostState, LineageState, MergeState } from './state.ts';

export const emptyFolded = (): FoldedLedger => ({
  held: 0n,
  excess: 0n,
  overflow: 0n,
  failed: [0n, 0n, 0n, 0n],
  sampled: nothingSampled,
  lost: 0n,
  quarantined: 0n,
});

/** True when every table of the generation is final and Σ rows = seen. */
export const complete = (g: GenerationState): boolean => g.tables.every((t) => t.sealed && t.rows.total() === t.seen);

/**
 * Folds, oldest first, what may be folded. A kernel has two slots: generation g is there, at most, with g + 1; so all
 * up to newest - 2 will never come again and are folded as they stand.
 */
export function foldReady(state: MergeState, host: HostState, lineage: LineageState): void {
  // Before the newest is folded too: with it goes its word on the past.
  stateLost(lineage);
  for (;;) {
    const next = lineage.foldedThrough + 1n;
    const gone = next <= lineage.generation - 2n;
    const oldest = lineage.open[0];
    if (oldest && oldest.generation === next && (gone || complete(oldest))) foldOldest(state, host, lineage);
    else if (gone)
      lineage.foldedThrough =
        oldest && oldest.generation <= lineage.generation - 2n ? oldest.generation - 1n : lineage.generation - 2n;
    else if (oldest && oldest.generation > next && nothingMissing(lineage, oldest) && complete(oldest))
      lineage.foldedThrough = oldest.generation - 1n;
    else break;
  }
  stateLost(lineage);
}

/** Folds all that is open, complete or not: nothing more will come of this lineage. */
export function foldAll(state: MergeState, host: HostState, lineage: LineageState): void {
  while (lineage.open.length > 0) {
    foldOldest(state, host, lineage);
  }
  if (lineage.generation > lineage.foldedThrough) lineage.foldedThrough = lineage.generation;
}

/** Moves the ledger of a lineage that is folded for good into its host's. */
export function moveLedger(host: HostState, lineage: LineageState): void {
  for (const [i, t] of lineage.tables.entries()) {
    const key = `${lineage.probe}/${t.key}`;
    const sums = host.folded.get(key) ?? { ...emptyFolded(), probe: lineage.probe, table: t.key };
    const own = lineage.folded[i]!;
    sums.held += own.held;
    sums.excess += own.excess;
    sums.overflow += own.overflow;
    sums.lost += own.lost;
    sums.sampled = addSampled(sums.sampled, own.sampled);
    sums.quarantined += own.quarantined;
    for (let c = 0; c < 4; c++) sums.failed[c] = sums.failed[c]! + own.failed[c]!;
    host.folded.set(key, sums);
    lineage.folded[i] = emptyFolded();
  }
}

/** Names of the blobs that hold a generation's rows. */
export function* lastBlobs(host: string, lineage: LineageState, g: GenerationState): Generator<string> {
  for (const [i, t] of g.tables.entries()) {
    for (let page = 0; page * rowsPerPage < t.rows.rows; page++) {
      yield formatBlobName({
        kind: 'last',
        host,
        lineage: lineage.key,
        generation: g.generation,
        table: lineage.tables[i]!.key,
        page,
      });
    }
  }
}

function foldOldest(state: MergeState, host: HostState, lineage: LineageState): void {
  const g = lineage.open.shift()!;
  for (const name of lastBlobs(host.host, lineage, g)) state.drops.add(name);
  for (const [i, t] of g.tables.entries()) {
    const table = host.tables.get(lineage.tables[i]!.key)!;
    table.base.reserve(table.index.size);
    t.rows.addTo(table.base);
    table.baseChanged = true;
    const folded = lineage.folded[i]!;
    const total = t.rows.total();
    folded.held += total;
    if (t.sealed && total > t.seen) folded.excess += total - t.seen;
    if (total < t.seen) folded.lost += t.seen - total;
    folded.overflow += t.rows.overflow();
    folded.sampled = addSampled(folded.sampled, t.sampled);
    for (let c = 0; c < 4; c++) folded.failed[c] = folded.failed[c]! + (t.failed[c] ?? 0n);
  }
  if (g.generation > lineage.foldedThrough) lineage.foldedThrough = g.generation;
}

/** Of what was seen, what base holds. */
export const trulyHeld = (folded: FoldedLedger): bigint => folded.held - folded.excess;

/** True when the generations before this one are held in full, though their numbers have a gap. */
const nothingMissing = (lineage: LineageState, g: GenerationState): boolean =>
  g.tables.every((t, i) => t.retiredSeen <= trulyHeld(lineage.folded[i]!));

/** What the lineage itself says to have seen in generations that this store knows nothing of, or less than all. */
export function stateLost(lineage: LineageState): void {
  for (const [i, folded] of lineage.folded.entries()) {
    let retired = 0n;
    let older = 0n;
    for (const g of lineage.open) {
      const t = g.tables[i]!;
      if (t.retiredSeen > retired) retired = t.retiredSeen;
      if (g.generation === lineage.generation) continue;
      // What its own rows lack is stated with it (checkpoint/write.ts).
      const held = t.rows.total();
      older += held > t.seen ? held : t.seen;
    }
    // Without the newest generation at hand its word on the past is not at hand either: what was stated stands.
    if (lineage.open.at(-1)?.generation !== lineage.generation) continue;
    const missing = retired - trulyHeld(folded) - older;
    folded.lost = missing > 0n ? missing : 0n;
  }
}
