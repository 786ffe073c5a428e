/** Numbers for people. Counts stay exact; only rates and times are rounded. */

/** "5000000" → "5,000,000". */
export function grouped(value: unknown): string {
  const text =
    typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? String(value) : '0';
  return text.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

type Steps = readonly (readonly [size: number, unit: string])[];
const decimal: Steps = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
];
const nanoseconds: Steps = [
  [1e9, ' s'],
  [1e6, ' ms'],
  [1e3, ' us'],
  [1, ' ns'],
];
const binary: Steps = [
  [2 ** 30, ' GiB'],
  [2 ** 20, ' MiB'],
  [2 ** 10, ' KiB'],
  [1, ' B'],
];

/** Three significant digits or so, in the largest unit that leaves at least one before the point. */
function scaled(value: number, steps: Steps): string {
  const [size, unit] = steps.find(([s]) => Math.abs(value) >= s) ?? steps.at(-1)!;
  const n = value / size;
  const digits = Math.abs(n) >= 100 || Number.isInteger(n) ? 0 : Math.abs(n) >= 10 ? 1 : 2;
  return `${n.toFixed(digits)}${unit}`;
}

/** 83333.3 → "83.3k/s". */
export function perSecond(value: unknown): string {
  const n = Number(value ?? 0);
  if (n !== 0 && Math.abs(n) < 1) return `${n.toPrecision(2)}/s`;
  return `${scaled(n, decimal)}/s`;
}

/** A measured value: nanoseconds become time, bytes KiB, the rest stays a number. */
export function inUnit(value: unknown, unit: string): string {
  const n = Number(value ?? 0);
  if (unit === 'ns') return scaled(n, nanoseconds);
  if (unit === 'bytes') return scaled(n, binary);
  return grouped(Number.isInteger(n) ? n : n.toPrecision(3));
}

const heights = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** One character a value, scaled to the largest; nothing counted is a space. */
export function sparkline(values: readonly number[]): string {
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  return values.map((v) => (v <= 0 ? ' ' : heights[Math.min(7, Math.floor((v / largest) * 8))]!)).join('');
}

/** At most `width` characters for value out of largest; anything above zero shows. */
export const bar = (value: number, largest: number, width: number): string =>
  value <= 0 || largest <= 0 ? '' : '█'.repeat(Math.max(1, Math.round((value / largest) * width)));

/** A counter's value: times and sizes in their units, everything else to the last digit. */
export const amount = (value: unknown, unit: string): string =>
  unit === 'ns' || unit === 'bytes' ? inUnit(value, unit) : grouped(value);
