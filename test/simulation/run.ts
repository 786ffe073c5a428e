/** Runs one plan: a hostile while, then peace until everything that can arrive has arrived, then the recount. */
import { heal, inflict, type FaultKind } from './faults.ts';
import { checkSettled, Watch } from './oracle.ts';
import { planOf, type Plan } from './plan.ts';
import { Reader } from './reading.ts';
import { World } from './world.ts';

export interface RunResult {
  readonly plan: Plan;
  /** Complaints; empty: every event was accounted for. */
  readonly wrong: readonly string[];
  /** Faults that found something to harm. */
  readonly inflicted: readonly FaultKind[];
  readonly batches: number;
  readonly commits: number;
}

const settleUs = 30_000_000;
/** Where many were held up, peace lasts until there were so many. */
const batchesLeast = 200;
/** What found nothing to harm tries again after so long. */
const againUs = 2_000_000;
const lookEveryUs = 10_000_000;
const storeFaults: ReadonlySet<FaultKind> = new Set(['store rolled back', 'store flushed', 'checkpoint flipped']);
const dateFaults: ReadonlySet<FaultKind> = new Set([...storeFaults, 'aggregator clock stepped']);
/** A look is dear, and soon after another it shows little. */
const lookAgainUs = 3_000_000;
/** Said on purpose where a fault caused it. */
const expectedAlarm = /the newest checkpoint is damaged|damaged beyond its predecessor/;

export function runPlan(plan: Plan, trace?: (line: string) => void): RunResult {
  const world = new World(plan, trace);
  const reader = new Reader(world.store);
  const watch = new Watch(world, reader);
  const wrong: string[] = [];
  const inflicted: FaultKind[] = [];
  const crash = (error: unknown): void =>
    void wrong.push(`crashed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  let lookedUs = 0;
  const look = (): void => {
    lookedUs = world.queue.nowUs;
    for (const what of watch.look()) if (wrong.length < 20) wrong.push(`at ${world.queue.nowUs / 1e6} s: ${what}`);
  };
  for (const { atUs, kind } of plan.faults) {
    const strike = (): void => {
      if (!inflictedStoreFault() && world.queue.nowUs - lookedUs > lookAgainUs) look();
      world.trace(`FAULT ${kind}`);
      if (inflict(kind, world)) inflicted.push(kind);
      else if (world.queue.nowUs + againUs < plan.activeUs) world.queue.after(againUs, strike);
    };
    world.queue.at(atUs, strike);
  }
  const inflictedStoreFault = (): boolean => inflicted.some((kind) => storeFaults.has(kind));
  for (let atUs = lookEveryUs; atUs < plan.activeUs; atUs += lookEveryUs) {
    world.queue.at(atUs, () => {
      if (!inflictedStoreFault()) look();
    });
  }
  try {
    world.queue.runUntil(plan.activeUs);
    world.trace('peace');
    world.generating = false;
    heal(world);
    world.queue.runUntil(plan.activeUs + settleUs);
    for (let i = 0; i < 60 && world.batches < batchesLeast; i++) world.queue.runUntil(world.queue.nowUs + againUs);
    if (!inflictedStoreFault()) look();
    wrong.push(
      ...checkSettled(world, reader, {
        // A checkpoint that was undone whole costs nothing: what was told durable was older.
        storeFaults:
          inflicted.some((kind) => storeFaults.has(kind) && kind !== 'checkpoint flipped') || world.store.damageServed,
        damaged: inflicted.includes('checkpoint flipped'),
        datesFaults: inflicted.some((kind) => dateFaults.has(kind)),
      }),
    );
  } catch (error) {
    crash(error);
  }
  for (const alarm of world.alarms) if (!expectedAlarm.test(alarm)) wrong.push(`alarm: ${alarm}`);
  return { plan, wrong, inflicted, batches: world.batches, commits: world.store.commits };
}

export const runSeed = (seed: bigint, trace?: (line: string) => void): RunResult => runPlan(planOf(seed), trace);

/** The plan with as few faults as still go wrong, found by leaving out one after another. */
export function minimise(plan: Plan): Plan {
  let smallest = plan;
  for (let i = plan.faults.length - 1; i >= 0; i--) {
    const fewer = { ...smallest, faults: smallest.faults.filter((f) => f !== plan.faults[i]) };
    if (runPlan(fewer).wrong.length > 0) smallest = fewer;
  }
  return smallest;
}
