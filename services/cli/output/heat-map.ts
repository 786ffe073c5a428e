/** A distribution over time for a terminal: time to the right, a line for each power of two, darker where more was observed. */
import type { HistogramPoint } from '../../shared/contract/query.ts';
import { clock } from './coverage.ts';
import { grouped, inUnit } from './units.ts';

const shades = ['·', '░', '▒', '▓', '█'];

/** The octave of a bucket; -1 holds zero alone. */
export const octaveOf = (bucket: { readonly lower: string; readonly upper: string }): number =>
  bucket.upper === '0' ? -1 : Math.floor(Math.log2(Math.max(1, Number(bucket.lower))));
export const octaveText = (octave: number, unit: string): string => inUnit(octave < 0 ? 0 : 2 ** octave, unit);

export function heatMap(points: readonly HistogramPoint[], unit: string): string[] {
  const columns = points.map((point) => {
    const held = new Map<number, number>();
    for (const b of point.buckets) held.set(octaveOf(b), (held.get(octaveOf(b)) ?? 0) + Number(b.count));
    return held;
  });
  const octaves = columns.flatMap((c) => [...c.keys()]);
  if (octaves.length === 0) return [];
  const largest = Math.max(...columns.flatMap((c) => [...c.values()]));
  // By orders of magnitude: one slow task in a million stays to be seen.
  const shade = (n: number | undefined): string =>
    n === undefined ? ' ' : shades[Math.min(4, Math.floor((Math.log(n) / Math.log(largest + 1)) * 5))]!;
  const lines: string[] = [];
  for (let octave = Math.max(...octaves); octave >= Math.min(...octaves); octave--)
    lines.push(
      `${octaveText(octave, unit).padStart(10)}  ${columns.map((c) => shade(c.get(octave)).repeat(2)).join('')}`,
    );
  const from = clock(points[0]?.time);
  const last = clock(points.at(-1)?.time);
  lines.push(`${' '.repeat(12)}${from}${last.padStart(Math.max(last.length + 1, columns.length * 2 - from.length))}`);
  lines.push(`${' '.repeat(12)}· one, █ up to ${grouped(largest)} in a step`);
  return lines;
}
