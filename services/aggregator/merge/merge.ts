/**
 * Second stage: a checked batch changes the state. Everything here is a join: a batch that comes twice, late or out of
 * order leaves the same totals as one that came once and in time.
 *
 *   last[row] = max(last[row], value)     series total = base + Σ last     window += what last rose by
 */
import { addSampled, joinSampled, sampledRise } from '../../shared/algebra/sampling.ts';
import type { Batch } from '../../shared/contract/batch.ts';
import { bySecond } from '../../shared/contract/seconds.ts';
import type { CheckedBatch, KnownSchema } from '../bus/receive.ts';
import { toldUntilNs } from './gaps.ts';
import { foldReady, stateLost, trulyHeld } from './fold.ts';
import { askAgain, askResync, createHost, describeHost, noteSkew } from './hosts.ts';
import { generationOf } from './generations.ts';
import { beginLineage, hasRoomFor, isSetAside, mayBeTakenBack, quarantineYounger } from './lineages.ts';
import { watchNamesakes } from './namesakes.ts';
import { define, noLimits, type SeriesLimits } from './limits.ts';
import { joinSeconds, noteWhole, risenSince, secondsOf } from './seconds.ts';
import type { GenerationState, HostState, LineageState, MergeEffect, MergeState, WindowPart } from './state.ts';
import { correctedNs, createWindows, datedMs, windowPart } from './windows.ts';

/** Programs of one lineage that are kept account of. */
const programsMax = 256;

export const createMergeState = (partition: number, limits: SeriesLimits = noLimits): MergeState => ({
  partition,
  limits,
  series: { accounts: 0, others: 0 },
  hosts: new Map(),
  windows: createWindows(),
  poison: { reasons: new Map(), recent: [], changed: false },
  drops: new Set(),
  rowsMerged: 0,
});

/** The schema of a lineage that is known; without tables when only its identity was kept. */
export const knownSchema = (
  state: MergeState,
  name: string,
  key: string,
  storedMs: number,
): KnownSchema | undefined => {
  const host = state.hosts.get(name);
  const lineage = host?.lineages.find((l) => l.key === key);
  if (!host || !lineage) return undefined;
  const { schemaHash: hash, tables } = lineage;
  return { hash, tables: tables.map((t) => t.schema), takes: (batch) => hasRoomFor(host, lineage, batch, storedMs) };
};

/** Merges one batch. Returns its lineage, or undefined when nothing is known of it yet. */
export function merge(
  state: MergeState,
  checked: CheckedBatch,
  nowMs: number,
  storedMs: number,
  effects: MergeEffect[],
): LineageState | undefined {
  const { batch } = checked;
  const dated = datedMs(batch.readWallNs, storedMs);
  let host = state.hosts.get(checked.host);
  let lineage = host?.lineages.find((l) => l.key === checked.lineageKey);
  if (!lineage || !host) {
    if (!checked.tables) {
      effects.push({
        kind: 'resync',
        host: checked.host,
        reason: `lineage of ${batch.lineage!.probe} is unknown`,
        lineageUuid: '',
      });
      return undefined;
    }
    if (!host) state.hosts.set(checked.host, (host = createHost(checked.host)));
    lineage = beginLineage(host, checked, checked.tables, dated.correctionNs, storedMs, effects);
  }
  watchNamesakes(state, host, lineage, checked, { storedMs, nowMs }, effects);
  const own = lineage.status !== 'namesake';
  if (lineage.status === 'live') describeHost(host, batch);
  if (own) noteSkew(host, dated.skewMs, effects);
  // Neither the last batch of a sealed generation nor a keyframe older than the asking brings what was missing.
  if (batch.keyframe && !batch.sealed && batch.part === batch.parts && batch.readBoottimeNs >= lineage.readBoottimeNs)
    host.wanted.delete(lineage.uuid);
  // A message that was acknowledged to the agent and lost since (a purged or damaged stream) leaves a gap.
  // So does one out of order: of two agents, or of one and its next start, neither's gap shows in the other's numbers.
  if (own && host.sequence > 0n && batch.sequence !== host.sequence + 1n && batch.sequence !== 1n)
    askResync(host, `batch ${host.sequence + 1n} is missing`, '', nowMs, effects);
  if (own) host.sequence = batch.sequence;
  if (own) host.mergedWallMs = nowMs;
  host.changed = true;
  if (isSetAside(lineage)) countQuarantined(lineage, checked);
  else if (batch.generation <= lineage.foldedThrough) countLate(lineage, checked);
  else {
    mergeRows(state, host, lineage, checked, dated.endMs, nowMs, effects);
    if (mayBeTakenBack(host, lineage, storedMs)) stateLost(lineage);
    else foldReady(state, host, lineage);
  }
  if (batch.readBoottimeNs > lineage.readBoottimeNs) {
    lineage.readBoottimeNs = batch.readBoottimeNs;
    lineage.detachedWallNs = batch.lineage!.detachedWallNs;
    lineage.governed = batch.governed;
    lineage.readWallNs = correctedNs(toldUntilNs(batch), dated.correctionNs);
    if (lineage.status === 'live') host.readWallNs = correctedNs(batch.readWallNs, dated.correctionNs);
  }
  if (batch.kernelBytes !== undefined) lineage.kernelBytes = batch.kernelBytes;
  lineage.mergedWallMs = nowMs;
  askAgain(host, nowMs, effects);
  return lineage;
}

function mergeRows(
  state: MergeState,
  host: HostState,
  lineage: LineageState,
  checked: CheckedBatch,
  endMs: number,
  nowMs: number,
  effects: MergeEffect[],
): void {
  const { batch } = checked;
  const generation = generationOf(lineage, batch.generation);
  const history = batch.readBoottimeNs <= lineage.historyBoottimeNs;
  const sinceNs = lineage.readBoottimeNs > 0n ? lineage.readBoottimeNs : batch.lineage!.createdBoottimeNs;
  const spanMs =
    batch.readBoottimeNs > sinceNs
      ? Number((batch.readBoottimeNs - sinceNs) / 1_000_000n)
      : Number(batch.intervalNs / 1_000_000n);
  const span = { fromMs: endMs - spanMs, endMs };
  const skipped = skippedRise(lineage, batch);
  const seconds = secondsOf(batch, risenSince(lineage.whole, batch), endMs);
  let provenSinceNs = -1n;
  for (const [i, block] of batch.tables.entries()) {
    const position = lineage.tables.findIndex((t) => t.schema.name === block.table);
    const { key, schema } = lineage.tables[position]!;
    const table = host.tables.get(key)!;
    const own = generation.tables[position]!;
    const columns = checked.blocks[i]!;
    const fresh = define(state, host, table, schema, own.rows, columns, effects);
    // No batch defines the overflow row: it is known from the start, but for what a damaged checkpoint forgot.
    if (batch.keyframe && own.rows.define(0, 0)) fresh.add(0);
    const seen = block.ledger?.seen ?? 0n;
    const seenRise = rise(own.seen, seen);
    const failed = block.ledger?.failed ?? [];
    const sampled = sampledRise(own.sampled, block.ledger?.sampled);
    const count = columns.rowCount > 0 || seenRise > 0n || skipped > 0n || sampled.seen > 0n;
    const shape = { key, valueCount: schema.valueCount, size: table.index.size };
    const target = history || !count ? undefined : windowPart(state, shape, host.host, span, nowMs);
    // A row that a lineage with undated history shows for the first time in a keyframe may carry some of that history.
    const undated = lineage.historyBoottimeNs > 0n && batch.keyframe;
    if (undated && own.rows.overflow() === 0n) fresh.add(0);
    const isDated = undated ? (row: number): boolean => !fresh.has(row) : undefined;
    const partOf = (startMs: number): WindowPart | undefined => {
      const within = { fromMs: Math.min(span.fromMs, startMs), endMs: startMs };
      return windowPart(state, shape, host.host, within, nowMs)?.part;
    };
    const { unknown, elsewhere } = bySecond(schema)
      ? joinSeconds(own.rows, columns, target && { own: target.part, endMs, seconds, partOf }, isDated)
      : { unknown: own.rows.join(columns, target?.part.sums, isDated), elsewhere: 0n };
    state.rowsMerged += columns.rowCount;
    if (unknown >= 0) askResync(host, `row ${unknown} of ${block.table} is unknown`, lineage.uuid, nowMs, effects);
    if (target) {
      target.part.seen += rise(elsewhere, seenRise);
      own.failed.forEach((n, reason) => (target.part.failed += rise(n, failed[reason] ?? 0n)));
      target.part.skipped += skipped;
      target.part.sampled = addSampled(target.part.sampled, sampled);
    }
    // Read before the ledger rises: growth between two reads of this table, both after a younger one's creation.
    if (seenRise > 0n && own.readBoottimeNs > 0n && batch.readBoottimeNs > own.readBoottimeNs)
      provenSinceNs = own.readBoottimeNs;
    joinLedger(own, failed, seen, block.retiredSeen, batch);
    own.sampled = joinSampled(own.sampled, block.ledger?.sampled);
  }
  noteWhole(lineage.whole, batch, host.wanted.has(lineage.uuid));
  if (provenSinceNs >= 0n) quarantineYounger(state, host, lineage, provenSinceNs, effects);
  if (batch.sealed && batch.part === batch.parts) checkSealed(host, lineage, generation, nowMs, effects);
}

const rise = (from: bigint, to: bigint): bigint => (to > from ? to - from : 0n);

function joinLedger(
  own: GenerationState['tables'][number],
  failed: readonly bigint[],
  seen: bigint,
  retired: bigint,
  batch: Batch,
): void {
  if (seen > own.seen) own.seen = seen;
  for (let c = 0; c < 4; c++) if ((failed[c] ?? 0n) > own.failed[c]!) own.failed[c] = failed[c]!;
  if (retired > own.retiredSeen) own.retiredSeen = retired;
  if (batch.sealed) own.sealed = true;
  if (batch.readBoottimeNs > own.readBoottimeNs) own.readBoottimeNs = batch.readBoottimeNs;
}

/** A final generation must add up: less means rows on their way or lost (ask), more is a broken equation (alarm). */
function checkSealed(
  host: HostState,
  lineage: LineageState,
  generation: GenerationState,
  nowMs: number,
  effects: MergeEffect[],
): void {
  for (const [i, t] of generation.tables.entries()) {
    const total = t.rows.total();
    if (!t.sealed || total === t.seen) continue;
    const fields = {
      host: host.host,
      probe: lineage.probe,
      table: lineage.tables[i]!.key,
      generation: String(generation.generation),
      seen: String(t.seen),
      rows: String(total),
    };
    if (total > t.seen)
      effects.push({ kind: 'alarm', fields, message: 'a sealed generation holds more than was seen' });
    else
      askResync(
        host,
        `sealed generation ${generation.generation} of ${lineage.tables[i]!.key} is incomplete`,
        lineage.uuid,
        nowMs,
        effects,
      );
  }
}

/** What the kernel skipped since the last account, over the lineage's programs. */
function skippedRise(lineage: LineageState, batch: Batch): bigint {
  if (batch.programs.length === 0) return 0n;
  let rise = 0n;
  // A measured period takes the place of the one before it: the newest read has the newest.
  const newest = batch.readBoottimeNs >= lineage.readBoottimeNs;
  for (const p of batch.programs) {
    const known = lineage.programs.find((k) => k.program === p.program);
    if (!known) {
      if (lineage.programs.length >= programsMax) continue;
      lineage.programs.push({ ...p });
      rise += p.skipped ?? 0n;
      continue;
    }
    if (p.skipped !== undefined && p.skipped > (known.skipped ?? 0n)) rise += p.skipped - (known.skipped ?? 0n);
    if (p.skipped !== undefined && p.skipped >= (known.skipped ?? 0n)) known.skipped = p.skipped;
    if (p.hook !== '') known.hook = p.hook.slice(0, 256);
    if (p.runs > known.runs) known.runs = p.runs;
    if (p.runTimeNs > known.runTimeNs) known.runTimeNs = p.runTimeNs;
    if (newest && p.periodNs !== undefined) {
      known.periodNs = p.periodNs;
      known.periodRuns = p.periodRuns;
      known.periodRunTimeNs = p.periodRunTimeNs;
    }
  }
  return rise;
}

/** Nothing of a quarantined lineage is counted, all of it is stated. */
function countQuarantined(lineage: LineageState, checked: CheckedBatch): void {
  for (const block of checked.batch.tables) {
    const folded = lineage.folded[lineage.tables.findIndex((t) => t.schema.name === block.table)];
    const total = block.retiredSeen + (block.ledger?.seen ?? 0n);
    if (folded && total > folded.quarantined) folded.quarantined = total;
  }
  if (checked.batch.generation > lineage.generation) lineage.generation = checked.batch.generation;
}

/** A folded generation counts nothing again. If the newest says to have seen more than was folded, the difference is lost. */
function countLate(lineage: LineageState, checked: CheckedBatch): void {
  if (checked.batch.generation !== lineage.generation) return;
  for (const block of checked.batch.tables) {
    const folded = lineage.folded[lineage.tables.findIndex((t) => t.schema.name === block.table)];
    if (!folded) continue;
    const missing = block.retiredSeen + (block.ledger?.seen ?? 0n) - trulyHeld(folded);
    if (missing > folded.lost) folded.lost = missing;
  }
}
