/**
 * Windows of a range, added up: by host and series, dense. Addition modulo 2^64 has an inverse, so that a range that moved
 * on, or whose open window grew, is made from the one before it by what came and went, and costs no more than that.
 * What is made is never changed.
 */
import { addSampled, nothingSampled, stated, type Sampled } from '../../shared/algebra/sampling.ts';
import type { SeriesValues, WindowHostValues, WindowValues } from '../../shared/contract/checkpoint-codec.ts';
import { valuesBySecond } from '../../shared/contract/seconds.ts';
import type { HostWindow } from './fleet.ts';

/** A window's blob: its content by name and digest. */
export interface WindowBlob {
  readonly text: string;
  readonly digest: string;
  readonly window: WindowValues;
}

interface Parts {
  readonly digest: string;
  /** Kept of the newest alone, which may yet change: what is older is taken off by its blob, if that is still at hand. */
  readonly window: WindowValues | undefined;
}

export interface WindowSum {
  readonly of: ReadonlyMap<string, Parts>;
  readonly hosts: ReadonlyMap<string, HostWindow>;
}

/** A millisecond's worth: many partitions may be at it at the same time. */
const rowsPerYield = 16_384;
/** Windows that may still change. */
const openWindows = 3;

/**
 * The sum of `blobs`, from whichever of `known` is nearest. `find` gives an older blob by name and digest. Yields now and
 * then, so that others get their turn.
 */
export function* sumWindows(
  blobs: readonly WindowBlob[],
  known: readonly WindowSum[],
  find: (text: string, digest: string) => WindowValues | undefined,
): Generator<void, WindowSum> {
  const wanted = new Map(blobs.map((b) => [b.text, b]));
  let best: { from: WindowSum | undefined; added: WindowBlob[]; removed: WindowValues[] } = {
    from: undefined,
    added: [...blobs],
    removed: [],
  };
  for (const from of known) {
    const added = blobs.filter((b) => from.of.get(b.text)?.digest !== b.digest);
    const gone = [...from.of].filter(([text, { digest }]) => wanted.get(text)?.digest !== digest);
    if (added.length + gone.length >= best.added.length + best.removed.length) continue;
    const removed = gone.map(([text, { digest, window }]) => window ?? find(text, digest));
    if (removed.every((w) => w !== undefined)) best = { from, added, removed };
  }
  const { from, added, removed } = best;
  if (from && added.length + removed.length === 0) return from;
  const starts = [...new Set(blobs.map((b) => b.window.startMs))].sort((a, b) => b - a);
  const openMs = starts[Math.min(openWindows, starts.length) - 1] ?? 0;
  const of = new Map(
    blobs.map(({ text, digest, window }) => [text, { digest, window: window.startMs >= openMs ? window : undefined }]),
  );
  return { of, hosts: yield* hostSums(blobs, from, added, removed) };
}

/** Seconds within a window mean nothing in a sum of windows. */
const kept = ({ valueCount }: SeriesValues): number => (valueCount === valuesBySecond ? 1 : valueCount);

interface Summing {
  valueCount: number;
  /** Value v of series s at (v · size + s) · 2. */
  size: number;
  values: Uint32Array;
  seen: bigint;
  failed: bigint;
  skipped: bigint;
  sampled: Sampled;
  fromMs: number;
  toMs: number;
}

function* hostSums(
  blobs: readonly WindowBlob[],
  from: WindowSum | undefined,
  added: readonly WindowBlob[],
  removed: readonly WindowValues[],
): Generator<void, Map<string, HostWindow>> {
  const sums = new Map<string, Summing>();
  const shapes = new Map<string, { size: number; readonly valueCount: number }>();
  for (const { window } of added) {
    for (const { host, increments: i } of window.hosts) {
      const shape = shapes.get(host) ?? { size: 0, valueCount: kept(i) };
      if (i.count > 0) shape.size = Math.max(shape.size, i.series[i.count - 1]! + 1);
      shapes.set(host, shape);
    }
  }
  const hosts = new Set(blobs.flatMap((b) => b.window.hosts.map((h) => h.host)));
  let rows = 0;
  for (const host of hosts) {
    const before = from?.hosts.get(host)?.values;
    const size = Math.max(shapes.get(host)?.size ?? 0, before?.increments.count ?? 0);
    const valueCount = before?.increments.valueCount ?? shapes.get(host)!.valueCount;
    if ((rows += size) > rowsPerYield) yield void (rows = 0);
    const values = new Uint32Array(size * valueCount * 2);
    if (before) {
      const { count, values: old } = before.increments;
      for (let v = 0; v < valueCount; v++) values.set(old.subarray(v * count * 2, (v + 1) * count * 2), v * size * 2);
    }
    sums.set(host, {
      valueCount,
      size,
      values,
      seen: before?.seen ?? 0n,
      failed: before?.failed ?? 0n,
      skipped: before?.skipped ?? 0n,
      sampled: nothingSampled,
      fromMs: Infinity,
      toMs: -Infinity,
    });
  }
  for (const window of removed) {
    for (const h of window.hosts) {
      const sum = sums.get(h.host);
      if (!sum) continue;
      if ((rows += h.increments.count) > rowsPerYield) yield void (rows = 0);
      subtract(sum, h);
      sum.seen -= h.seen;
      sum.failed -= h.failed;
      sum.skipped -= h.skipped;
    }
  }
  for (const { window } of added) {
    for (const h of window.hosts) {
      const sum = sums.get(h.host)!;
      if ((rows += h.increments.count) > rowsPerYield) yield void (rows = 0);
      add(sum, h);
      sum.seen += h.seen;
      sum.failed += h.failed;
      sum.skipped += h.skipped;
    }
  }
  let startMs = Infinity;
  let endMs = -Infinity;
  for (const { window } of blobs) {
    startMs = Math.min(startMs, window.startMs);
    endMs = Math.max(endMs, window.startMs + window.lengthMs);
    for (const h of window.hosts) {
      const sum = sums.get(h.host)!;
      sum.sampled = addSampled(sum.sampled, h.sampled);
      sum.fromMs = Math.min(sum.fromMs, h.fromMs);
      sum.toMs = Math.max(sum.toMs, h.toMs);
    }
  }
  return new Map([...sums].map(([host, sum]) => [host, summed(host, sum, startMs, endMs - startMs)]));
}

const summed = (host: string, sum: Summing, startMs: number, lengthMs: number): HostWindow => ({
  startMs,
  lengthMs,
  values: {
    host,
    increments: { count: sum.size, valueCount: sum.valueCount, series: firstNumbers(sum.size), values: sum.values },
    seen: sum.seen,
    failed: sum.failed,
    skipped: sum.skipped,
    sampled: stated(sum.sampled),
    fromMs: sum.fromMs,
    toMs: sum.toMs,
  },
});

function add({ valueCount, size, values }: Summing, { increments: i }: WindowHostValues): void {
  for (let v = 0; v < valueCount; v++) {
    for (let r = 0, from = v * i.count * 2; r < i.count; r++, from += 2) {
      const at = (v * size + i.series[r]!) * 2;
      const low = values[at]! + i.values[from]!;
      values[at] = low;
      values[at + 1] = values[at + 1]! + i.values[from + 1]! + (low > 0xffffffff ? 1 : 0);
    }
  }
}

function subtract({ valueCount, size, values }: Summing, { increments: i }: WindowHostValues): void {
  for (let v = 0; v < valueCount; v++) {
    for (let r = 0, from = v * i.count * 2; r < i.count; r++, from += 2) {
      const at = (v * size + i.series[r]!) * 2;
      const low = values[at]! - i.values[from]!;
      values[at] = low;
      values[at + 1] = values[at + 1]! - i.values[from + 1]! - (low < 0 ? 1 : 0);
    }
  }
}

/** 0, 1, 2, … n - 1: one array for all. */
let numbers = new Uint32Array(0);
function firstNumbers(n: number): Uint32Array {
  if (numbers.length < n) numbers = Uint32Array.from({ length: Math.max(1024, n * 2) }, (_, i) => i);
  return numbers.subarray(0, n);
}
