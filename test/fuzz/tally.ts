/** What came of fuzzed messages: counts by outcome, crashes with their seed, the slowest, and memory over time. */
export interface Tally {
  readonly outcomes: Map<string, number>;
  /** Messages that got through all checks: answered, or merged. */
  through: number;
  made: number;
  readonly crashes: string[];
  slowestMs: number;
  /** Resident bytes after the first quarter, and at the end. */
  quarterBytes: number;
  endBytes: number;
}

export const hangMs = 5000;

/** Runs `count` messages; `one` says what became of message i, and throws only for a crash. */
export function fuzz(
  count: number,
  one: (i: number) => { outcome: string; through: boolean },
  progress: (done: number) => void,
): Tally {
  const tally: Tally = {
    outcomes: new Map(),
    through: 0,
    made: 0,
    crashes: [],
    slowestMs: 0,
    quarterBytes: 0,
    endBytes: 0,
  };
  const resident = (): number => {
    (globalThis as { gc?: () => void }).gc?.();
    return process.memoryUsage().rss;
  };
  for (let i = 0; i < count && tally.crashes.length < 10; i++) {
    const began = performance.now();
    try {
      const { outcome, through } = one(i);
      tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1);
      if (through) tally.through++;
    } catch (error) {
      tally.crashes.push(`message ${i}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    tally.made++;
    tally.slowestMs = Math.max(tally.slowestMs, performance.now() - began);
    if (i === Math.floor(count / 4)) tally.quarterBytes = resident();
    if ((i + 1) % Math.ceil(count / 20) === 0) progress(i + 1);
  }
  tally.endBytes = resident();
  return tally;
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

export function describeTally(what: string, t: Tally): string {
  const counts = [...t.outcomes].sort(([, a], [, b]) => b - a).map(([name, n]) => `  ${name.padEnd(24)} ${n}`);
  const share = ((100 * t.through) / t.made).toFixed(1);
  return [
    `${what}: ${t.made}, ${share} % well formed to the end; slowest ${t.slowestMs.toFixed(0)} ms; ` +
      `memory ${mib(t.quarterBytes)} after a quarter, ${mib(t.endBytes)} at the end; crashes ${t.crashes.length}`,
    ...counts,
    ...t.crashes.map((c) => `  CRASH ${c}`),
  ].join('\n');
}

/** Why a run failed; empty when it did not. */
export function faultsOf(what: string, t: Tally): string[] {
  return [
    ...t.crashes.map((c) => `${what}: crashed on ${c}`),
    ...(t.slowestMs > hangMs ? [`${what}: one took ${t.slowestMs.toFixed(0)} ms`] : []),
    ...(t.through * 2 < t.made ? [`${what}: only ${t.through} of ${t.made} were well formed to the end`] : []),
    ...(t.endBytes > t.quarterBytes * 1.5 + 64 * 2 ** 20 ? [`${what}: memory grew to ${mib(t.endBytes)}`] : []),
  ];
}
