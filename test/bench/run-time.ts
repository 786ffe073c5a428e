/**
 * What probes of rarer events cost, by the kernel's own account: time in all of a contender's programs for one event,
 * less what an empty program on the same hook is charged. Statistics are on for both; contenders take turns.
 */
import { closeSync } from 'node:fs';
import { enableStatistics } from '../../services/shared/adapters/libbpf.ts';
import { median, type Account, type Contender } from './contender.ts';

export interface Timed {
  readonly contender: Contender;
  /** Whose runs are the events. */
  readonly event: RegExp;
}

/** ns per event net of the empty program, by contender's name: the median of the turns, and the least. */
export async function runTimes(
  timed: readonly Timed[],
  empty: Contender,
  load: () => Promise<void>,
  turns: number,
): Promise<ReadonlyMap<string, { readonly net: number; readonly min: number }>> {
  const found = new Map<string, number[]>();
  for (let i = 0; i < turns; i++) {
    const [base] = await account(empty, load);
    const emptyNs = base!.runTimeNs / base!.runs;
    for (const { contender, event } of timed) {
      const programs = await account(contender, load);
      const events = programs.find((p) => event.test(p.program))?.runs ?? 0;
      if (events === 0) throw new Error(`${contender.name}: no program like ${event} ran`);
      const netNs = programs.reduce((sum, p) => sum + p.runTimeNs - emptyNs * p.runs, 0) / events;
      found.set(contender.name, [...(found.get(contender.name) ?? []), netNs]);
    }
  }
  return new Map([...found].map(([name, ns]) => [name, { net: median(ns), min: Math.min(...ns) }]));
}

async function account(contender: Contender, load: () => Promise<void>): Promise<Account[]> {
  const attached = await contender.attach();
  try {
    const statistics = enableStatistics();
    try {
      await load();
    } finally {
      closeSync(statistics);
    }
    return attached.accounts();
  } finally {
    await attached.detach();
  }
}
