/** What a seed stands for: hosts, and faults with their times. A plan can be cut down, and then still runs the same. */
import { defaultLimits, type AgentLimits } from '../../services/agent/config.ts';
import { models, type ProbeModel } from './catalogue.ts';
import { faultKinds, type FaultKind } from './faults.ts';
import { createRandom, type Random } from './random.ts';

export interface PlannedFault {
  readonly atUs: number;
  readonly kind: FaultKind;
}

export interface PlannedHost {
  readonly name: string;
  readonly cpus: number;
  readonly probes: readonly ProbeModel[];
  /** Events at a time: up to thousands of this many. */
  readonly scale: number;
  /** Between two reads of its agents. */
  readonly intervalUs: number;
}

export interface Plan {
  readonly seed: bigint;
  readonly hosts: readonly PlannedHost[];
  readonly activeUs: number;
  readonly faults: readonly PlannedFault[];
  readonly limits: AgentLimits;
  readonly commitEveryUs: number;
  /** Series that the aggregator takes of a host: any number, or few, so that most labels join the overflow. */
  readonly seriesPerHost: number;
}

const second = 1_000_000_000n;

/** Generations end within a run, not within an hour; or not at all. No keyframe comes unless it is asked for. */
function limitsOf(random: Random): AgentLimits {
  return {
    ...defaultLimits,
    keyframeEveryNs: 1000n * second,
    batchBytesMax: 4608,
    sealAgeNs: random.chance(0.6) ? 12n * second : 1000n * second,
    sealFill: random.chance(0.7) ? 0.75 : 2,
    sealGapNs: 4n * second,
    durableRetryNs: 6n * second,
    lockRetryNs: 2n * second,
    retireRetryNs: 3n * second,
  };
}

const commitsUs = [2_000_000, 3_000_000, 5_000_000];

/** web-1 and web-2 share a partition. */
const hostNames = ['web-1', 'web-2', 'db.example.org', 'Ωmega'];

/** Past 2^32 and past 2^53 too. */
const scales = [1, 1, 1, 2 ** 20, 2 ** 32 + 7, 2 ** 38];

/** A read each second, or less often: what matters happens between two of them, and costs nothing in between. */
const intervalsUs = [1_000_000, 1_000_000, 2_000_000, 3_000_000];

function hostOf(name: string, random: Random): PlannedHost {
  const probes = [random.chance(0.04) ? models.wide : random.pick(models.calls)];
  if (random.chance(0.3)) probes.push(random.pick(models.waits));
  return {
    name,
    cpus: random.between(1, 3),
    probes,
    scale: random.pick(scales),
    intervalUs: random.pick(intervalsUs),
  };
}

const seriesPerHostOf = (random: Random): number => (random.chance(0.15) ? random.between(1, 6) : Infinity);

/** Batches that are asked for while things go wrong; the peace after brings its own. */
const hostileBatches = 105;

export function planOf(seed: bigint): Plan {
  const random = createRandom(seed ^ 0x5eed_5eed_5eedn);
  const hosts = hostNames.slice(0, random.chance(0.25) ? 4 : 3).map((name) => hostOf(name, random));
  const perSecond = hosts.reduce((sum, h) => sum + (h.probes.length * 1e6) / h.intervalUs, 0);
  const activeUs = Math.ceil(hostileBatches / perSecond) * 1_000_000;
  const count = random.between(6, 7);
  const faults = Array.from({ length: count }, () => ({
    atUs: random.between(2_000_000, activeUs - 1_000_000),
    kind: random.pick(faultKinds),
  })).sort((a, b) => a.atUs - b.atUs);
  return {
    seed,
    limits: limitsOf(random),
    hosts,
    activeUs,
    commitEveryUs: random.pick(commitsUs),
    faults,
    seriesPerHost: seriesPerHostOf(createRandom(seed ^ 0x5e71e5n)),
  };
}
