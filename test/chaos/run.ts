/**
 * One run: while the flows run a fault is inflicted; then they stand still, and the answers must become exact. Kinds come
 * in rounds, each round in an order of its own from the seed.
 */
import { createRandom, type Random } from '../simulation/random.ts';
import { pause, type Fault, type Inflicted } from './faults/fault.ts';
import { Oracle, type Verdict } from './oracle.ts';
import { World } from './world.ts';

export interface RunOptions {
  readonly seed: bigint;
  readonly minutes: number;
  /** Ends sooner, once each kind was inflicted so often, in all its variants. */
  readonly each?: number;
  readonly kinds: readonly Fault[];
  /** Of them, those that come before all others. */
  readonly first?: readonly string[];
  readonly interval: string;
  readonly logs: string;
  readonly older?: string;
  /** Ends the run after the fault in hand. */
  readonly signal?: AbortSignal;
  /** A line for a person. */
  readonly say: (line: string) => void;
}

export interface Tally {
  readonly kind: string;
  readonly crash: boolean;
  injected: number;
  exact: number;
  /** Tried, but there was nothing to break. */
  idle: number;
  /** From the fault's end to the exact answer, in ms. */
  readonly recoveryMs: number[];
}

export interface Outcome {
  readonly seed: bigint;
  readonly tallies: readonly Tally[];
  readonly events: bigint;
  readonly lost: bigint;
  readonly seconds: number;
  /** What did not become exact: kind and numbers. */
  readonly miscounts: readonly string[];
}

/** Unless the kind says otherwise. */
const withinMs = 45_000;
const pollMs = 50;

export async function runChaos(options: RunOptions): Promise<Outcome> {
  const { seed, kinds, say } = options;
  const random = createRandom(seed);
  const tallies = kinds.map(({ kind, crash }): Tally => ({
    kind,
    crash: crash === true,
    injected: 0,
    exact: 0,
    idle: 0,
    recoveryMs: [],
  }));
  const miscounts: string[] = [];
  const world = await World.start(options);
  const oracle = new Oracle(world);
  const began = performance.now();
  const end = began + options.minutes * 60_000;
  try {
    world.startFlows();
    await pause(2_000);
    await world.stopFlows();
    await exactWithin(oracle, false, withinMs);
    const each = options.each ?? Infinity;
    const isDone = (tally: Tally, n: number): boolean => tally.injected >= Math.max(each, kinds[n]!.variants ?? 0);
    const goesOn = (): boolean => performance.now() < end && miscounts.length === 0 && !options.signal?.aborted;
    for (let order = kinds.flatMap((k, n) => (options.first?.includes(k.kind) ? [n] : [])); goesOn();) {
      if (order.length === 0) order = shuffled(kinds.length, random);
      const n = order.shift()!;
      if (tallies.every(isDone)) break;
      if (isDone(tallies[n]!, n)) continue;
      const wrong = await once(world, oracle, kinds[n]!, tallies[n]!, random, say);
      if (wrong.length > 0) miscounts.push(...wrong.map((w) => `${kinds[n]!.kind}: ${w}`));
    }
    const lost = [...oracle.lost.values(), ...world.hosts.map((host) => host.gone)].reduce((a, b) => a + b, 0n);
    return { seed, tallies, events: oracle.made(), lost, seconds: (performance.now() - began) / 1000, miscounts };
  } finally {
    await world.end();
  }
}

async function once(
  world: World,
  oracle: Oracle,
  fault: Fault,
  tally: Tally,
  random: Random,
  say: (line: string) => void,
): Promise<string[]> {
  const own = random.fork();
  world.startFlows();
  await pause(own.between(200, 700));
  let inflicted: Inflicted | undefined;
  try {
    inflicted = await fault.inflict(world, own);
  } catch (cause) {
    say(`${fault.kind}: WRONG: ${String(cause)}`);
    return [String(cause)];
  }
  await pause(own.between(50, 300));
  await world.stopFlows();
  if (!inflicted) tally.idle++;
  else tally.injected++;
  const verdict = await exactWithin(oracle, fault.mayLose === true, fault.withinMs ?? withinMs);
  if (verdict.wrong.length === 0 && fault.declaresUnknown && inflicted)
    verdict.wrong.push(...(await undeclared(world)));
  const endedAt = inflicted?.endedAt ?? performance.now();
  const ms = Math.max(0, verdict.totalsAt - endedAt);
  if (verdict.wrong.length === 0 && inflicted) {
    tally.exact++;
    tally.recoveryMs.push(ms);
  }
  const result =
    verdict.wrong.length > 0 ? `WRONG: ${verdict.wrong.join('; ')}` : `exact after ${(ms / 1000).toFixed(2)} s`;
  say(`${fault.kind}: ${inflicted?.what ?? 'nothing to break'}: ${result}`);
  return verdict.wrong;
}

/** Judges until nothing is wrong, and once more after that: what is right must stay right. */
async function exactWithin(
  oracle: Oracle,
  mayLose: boolean,
  ms: number,
): Promise<{ wrong: string[]; totalsAt: number }> {
  const end = performance.now() + ms;
  let last: Verdict = { wrong: ['never answered'], totalsAt: performance.now() };
  for (; performance.now() < end; await pause(pollMs)) {
    last = await judge(oracle, mayLose);
    if (last.wrong.length > 0) continue;
    await pause(pollMs);
    const again = await judge(oracle, mayLose);
    if (again.wrong.length === 0) return { wrong: [], totalsAt: last.totalsAt };
    last = again;
  }
  return { wrong: [...last.wrong], totalsAt: last.totalsAt };
}

async function judge(oracle: Oracle, mayLose: boolean): Promise<Verdict> {
  try {
    return await oracle.judge(mayLose);
  } catch (cause) {
    return { wrong: [`no answer: ${String(cause)}`], totalsAt: performance.now() };
  }
}

async function undeclared(world: World): Promise<string[]> {
  const wrong: string[] = [];
  for (const host of world.hosts) {
    // A lineage that young repeats all it ever counted, dated.
    if (performance.now() - host.bareAt < 40_000) continue;
    const answer = await world.ask('GetHost', { host: host.name });
    if ((answer.host?.unknown.length ?? 0) === 0) wrong.push(`${host.name}: history is gone and no span is unknown`);
  }
  return wrong;
}

function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
