/**
 * Windows: increments per series, in the window in which the interval that brought them ended. A window that nothing
 * has touched for a while is closed: it lives on in the checkpoint alone, and an increment that comes later still
 * goes into a part of its own beside it, so that nothing is read back and nothing is lost.
 */
import { setBigInt, toBigInt } from '../../shared/algebra/limbs.ts';
import { nothingSampled } from '../../shared/algebra/sampling.ts';
import { SumTable } from '../../shared/algebra/sum-table.ts';
import { finestTier, formatBlobName } from '../../shared/contract/checkpoint.ts';
import { u64 } from '../../shared/contract/encode.ts';
import { secondsOfWindow, valuesBySecond } from '../../shared/contract/seconds.ts';
import type { MergeState, OpenWindow, WindowPart, WindowsState } from './state.ts';

/** A host's clock further than this from the bus's is not believed for dating. */
export const skewMaxMs = 300_000;
/** A window untouched for so long is closed. By time of touching, not of the window: a host with a clock ahead closes nobody's. */
const closeAfterMs = 30_000;

export const createWindows = (): WindowsState => ({ open: new Map(), parts: new Map() });

/**
 * When the interval ended, as the windows see it: by the host's clock, or by the bus's where the host's is far off; and
 * what is to be taken off every time that this host states, ns (0 while its clock is believed).
 */
export function datedMs(readWallNs: bigint, storedMs: number): { endMs: number; skewMs: number; correctionNs: bigint } {
  // Clamped: a hostile time must not leave the numbers that a double holds exactly.
  const readMs = Number(BigInt.asUintN(63, readWallNs) / 1_000_000n);
  const skewMs = Math.max(-1e14, Math.min(1e14, readMs - storedMs));
  const believed = Math.abs(skewMs) <= skewMaxMs;
  return {
    endMs: believed ? readMs : storedMs,
    skewMs,
    correctionNs: believed ? 0n : BigInt(Math.round(skewMs)) * 1_000_000n,
  };
}

/** A time that a host states, corrected: whatever it states, a time that a checkpoint has room for. */
export const correctedNs = (statedNs: bigint, correctionNs: bigint): bigint => u64(statedNs - correctionNs);

/** The host's part of the window of `endMs`, opened if need be; undefined when retention has passed it. */
export function windowPart(
  state: MergeState,
  table: { readonly key: string; readonly valueCount: number; readonly size: number },
  host: string,
  span: { readonly fromMs: number; readonly endMs: number },
  nowMs: number,
): { window: OpenWindow; part: WindowPart } | undefined {
  const startMs = Math.floor(span.endMs / finestTier.lengthMs) * finestTier.lengthMs;
  if (startMs + finestTier.lengthMs <= nowMs - finestTier.retentionMs) return undefined;
  const { open, parts } = state.windows;
  const id = `${startMs}/${table.key}`;
  let window = open.get(id);
  if (!window) {
    let byTable = parts.get(startMs);
    if (!byTable) parts.set(startMs, (byTable = new Map()));
    const part = byTable.get(table.key) ?? 0;
    byTable.set(table.key, part + 1);
    window = { startMs, table: table.key, part, hosts: new Map(), touchedMs: nowMs, changed: false };
    open.set(id, window);
  }
  let part = window.hosts.get(host);
  if (!part) {
    part = {
      sums: new SumTable(table.valueCount),
      seen: 0n,
      failed: 0n,
      skipped: 0n,
      sampled: nothingSampled,
      undivided: 0n,
      fromMs: span.fromMs,
      toMs: span.endMs,
    };
    window.hosts.set(host, part);
  }
  part.sums.reserve(table.size);
  part.fromMs = Math.min(part.fromMs, span.fromMs);
  part.toMs = Math.max(part.toMs, span.endMs);
  window.touchedMs = nowMs;
  window.changed = true;
  return { window, part };
}

/** Drops windows past retention and closes those that nothing touches any more. Call when all changes are written. */
export function retire(state: MergeState, nowMs: number): void {
  const { open, parts } = state.windows;
  for (const [startMs, byTable] of parts) {
    if (startMs + finestTier.lengthMs > nowMs - finestTier.retentionMs) continue;
    for (const [table, count] of byTable) {
      open.delete(`${startMs}/${table}`);
      for (let part = 0; part < count; part++) {
        state.drops.add(formatBlobName({ kind: 'window', tier: finestTier.name, startMs, table, part }));
      }
    }
    parts.delete(startMs);
  }
  for (const [id, window] of open) {
    if (!window.changed && Math.abs(nowMs - window.touchedMs) > closeAfterMs) open.delete(id);
  }
}

/**
 * Takes a series' increments back out of the open windows of one host, newest first: what a lineage added before it
 * turned out to count the same events as another.
 */
export function takeBack(state: MergeState, table: string, host: string, sums: SumTable): void {
  const windows = [...state.windows.open.values()].filter((w) => w.table === table && w.hosts.has(host));
  windows.sort((a, b) => b.startMs - a.startMs);
  // What is kept by second is taken from the sum, and as much from the seconds of the same window.
  const summed = sums.valueCount === valuesBySecond ? 1 : sums.valueCount;
  for (let series = 0; series < sums.size; series++) {
    for (let v = 0; v < summed; v++) {
      const at = (series * sums.valueCount + v) * 2;
      let owed = toBigInt(sums.values, at);
      for (const window of windows) {
        if (owed === 0n) break;
        const values = window.hosts.get(host)!.sums.values;
        if (at + 1 >= values.length) continue;
        const taken = takeFrom(values, at, owed);
        if (summed !== sums.valueCount) takeSeconds(values, at, taken);
        owed -= taken;
        window.changed = true;
      }
    }
  }
}

/** Takes `owed` from the seconds behind the sum at `sumAt`, newest first. */
function takeSeconds(values: Uint32Array, sumAt: number, owed: bigint): void {
  for (let at = sumAt + secondsOfWindow * 2; at > sumAt && owed > 0n; at -= 2) owed -= takeFrom(values, at, owed);
}

/** Takes as much of `owed` from a value as it has, and returns that. */
function takeFrom(values: Uint32Array, at: number, owed: bigint): bigint {
  const there = toBigInt(values, at);
  const taken = there < owed ? there : owed;
  setBigInt(values, at, there - taken);
  return taken;
}
