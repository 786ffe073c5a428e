/** The outcome of a run as a table for a person, or as JSON lines. */
import type { Outcome } from './run.ts';

/** Nearest rank. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? NaN;
}

export const crashRecoveries = (outcome: Outcome): number[] =>
  outcome.tallies.filter((t) => t.crash).flatMap((t) => t.recoveryMs);

export function asTable(outcome: Outcome): string {
  const seconds = (ms: number): string => (Number.isNaN(ms) ? '-' : (ms / 1000).toFixed(2));
  const row = (name: string, cells: readonly (string | number)[]): string =>
    name.padEnd(36) + cells.map((c) => String(c).padStart(9)).join('');
  const figures = (values: readonly number[]): string[] => [0.5, 0.99, 1].map((q) => seconds(quantile(values, q)));
  const faults = outcome.tallies.reduce((n, t) => n + t.injected, 0);
  const exact = outcome.tallies.reduce((n, t) => n + t.exact, 0);
  return [
    row('fault', ['injected', 'exact', 'idle', 'p50 s', 'p99 s', 'max s']),
    ...outcome.tallies.map((t) => row(t.kind, [t.injected, t.exact, t.idle, ...figures(t.recoveryMs)])),
    row('all', [faults, exact, '', ...figures(outcome.tallies.flatMap((t) => t.recoveryMs))]),
    row('single crashes', [crashRecoveries(outcome).length, '', '', ...figures(crashRecoveries(outcome))]),
    '',
    `${faults} faults in ${outcome.seconds.toFixed(0)} s, ${outcome.events} events, of them ${outcome.lost} lost with the store, and counted as lost where their pins remain; seed ${outcome.seed}`,
    outcome.miscounts.length === 0 ? 'no miscount' : `MISCOUNT\n${outcome.miscounts.map((m) => `  ${m}`).join('\n')}`,
  ].join('\n');
}

export function asJson(outcome: Outcome): string {
  const lines = outcome.tallies.map(({ kind, injected, exact, idle, recoveryMs }) => ({
    chaos: kind,
    injected,
    exact,
    idle,
    p50Ms: figure(recoveryMs, 0.5),
    p99Ms: figure(recoveryMs, 0.99),
    maxMs: figure(recoveryMs, 1),
  }));
  const total = {
    chaos: 'total',
    seed: String(outcome.seed),
    seconds: outcome.seconds,
    events: String(outcome.events),
    lost: String(outcome.lost),
    faults: outcome.tallies.reduce((n, t) => n + t.injected, 0),
    crashP99Ms: figure(crashRecoveries(outcome), 0.99),
    miscounts: outcome.miscounts,
  };
  return [...lines, total].map((line) => JSON.stringify(line)).join('\n');
}

const figure = (values: readonly number[], q: number): number | null =>
  values.length === 0 ? null : Math.round(quantile(values, q));
