/** What a benchmark reports: one number with its unit, beside a peer or an aim where there is one. */
import { loadavg, release } from 'node:os';
import { execFileSync } from 'node:child_process';

export interface Figure {
  readonly figure: string;
  readonly unit: string;
  readonly ours: number;
  /** The best of the runs, where `ours` is their median. */
  readonly min?: number;
  readonly peer?: number;
  /** The peer's best, likewise. */
  readonly peerMin?: number;
  readonly peerName?: string;
  /** What the design hopes for; reported, never asserted. */
  readonly aim?: number;
  /** What ours may be of the peer's, as a ratio; beyond it the command fails. */
  readonly most?: number;
  /** What ours may be; beyond it the command fails. */
  readonly limit?: number;
}

export const beyond = (f: Figure): boolean =>
  f.ours > (f.limit ?? Infinity) || (f.peer !== undefined && f.most !== undefined && !(f.ours <= f.peer * f.most));

/** Ours to the peer's, where that says something. */
const ratioOf = (f: Figure): number | undefined => (f.peer ? f.ours / f.peer : undefined);

export const short = (n: number): string => (Math.abs(n) >= 100 ? n.toFixed(0) : n === 0 ? '0' : n.toPrecision(3));

/** One JSON line a figure, or aligned text. */
export function printFigures(bench: string, figures: readonly Figure[], json: boolean): void {
  if (json) {
    for (const f of figures) {
      const ratio = ratioOf(f);
      const line = { bench, ...f, ...(ratio === undefined ? {} : { ratio: Number(ratio.toPrecision(3)) }) };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
    return;
  }
  const width = Math.max(...figures.map((f) => f.figure.length));
  for (const f of figures) {
    const ratio = ratioOf(f);
    const notes = [
      f.min === undefined ? '' : `min ${short(f.min)}`,
      f.aim === undefined ? '' : `aim ≤ ${short(f.aim)}`,
      f.limit === undefined ? '' : `at most ${short(f.limit)}`,
      f.peer === undefined
        ? ''
        : `${f.peerName} ${short(f.peer)}${ratio === undefined ? '' : `, ratio ${short(ratio)}`}${f.most === undefined ? '' : ` of at most ${f.most}`}`,
    ].filter(Boolean);
    process.stdout.write(
      `${f.figure.padEnd(width)}  ${short(f.ours).padStart(8)} ${f.unit}${notes.length > 0 ? `  (${notes.join('; ')})` : ''}\n`,
    );
  }
}

/** What a tool says first of its version. */
export const firstLine = (command: string, args: string[]): string => {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\n')[0]!
      .trim();
  } catch {
    return `${command}: not found`;
  }
};

/** Versions and load, on stderr: what a figure means nothing without. */
export function printConditions(): void {
  const lines = [
    `kernel ${release()}, node ${process.version}, load ${loadavg()
      .map((l) => l.toFixed(2))
      .join(' ')}`,
    [
      firstLine('nats-server', ['--version']),
      firstLine('redis-server', ['--version']).slice(0, 28),
      firstLine('clang', ['--version']),
    ].join(', '),
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
}
