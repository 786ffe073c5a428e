/** What a seed stands for: hosts, and faults with their times. A plan can be cut down, and then still runs the same. */
import { defaultLimits, type AgentLimits } from '../../services/agent/config.ts';
import { faultKinds, type FaultKind } from './faults.ts';
import { createRandom, type Random } from './random.ts';

export interface PlannedFault {
  readonly atUs: number;
  readonly kind: FaultKind;
}

export interface Plan {
  readonly seed: bigint;
  readonly hosts: readonly string[];
  readonly activeUs: number;
  readonly faults: readonly PlannedFault[];
  readonly limits: AgentLimits;
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

/** web-1 and web-2 share a partition. */
const hostNames = ['web-1', 'web-2', 'db.example.org', 'Ωmega'];

export function planOf(seed: bigint): Plan {
  const random = createRandom(seed ^ 0x5eed_5eed_5eedn);
  const activeUs = random.between(55, 75) * 1_000_000;
  const count = random.between(5, 9);
  const faults = Array.from({ length: count }, () => ({
    atUs: random.between(2_000_000, activeUs - 1_000_000),
    kind: random.pick(faultKinds),
  })).sort((a, b) => a.atUs - b.atUs);
  return {
    seed,
    limits: limitsOf(random),
    hosts: hostNames.slice(0, random.chance(0.25) ? 4 : 3),
    activeUs,
    faults,
  };
}
