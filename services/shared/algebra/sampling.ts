/**
 * What was sampled of a table, and how far its rows may be off for it. While labels are sampled, every unit (call, ns,
 * byte) has the same chance of 1 in `weight` to be the picked one of its block, and the pick counts for the block
 * (bpf/row.h). A row's value X is then a sum of independent picks around the true M, with variance at most (weight - 1) M.
 * Accounts join by maximum within a generation, and add up over generations, hosts and time.
 */

export interface Sampled {
  /** Counted while sampled, and given to rows for it, in units of the first value. */
  readonly seen: bigint;
  readonly given: bigint;
  /** The same for the second value. */
  readonly sumSeen: bigint;
  readonly sumGiven: bigint;
  /** Largest weight of a pick. */
  readonly weightMax: bigint;
}

export const nothingSampled: Sampled = { seen: 0n, given: 0n, sumSeen: 0n, sumGiven: 0n, weightMax: 0n };

const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const rise = (from: bigint, to: bigint): bigint => (to > from ? to - from : 0n);

/** Of two accounts of one generation. */
export function joinSampled(a: Sampled, b: Sampled | undefined): Sampled {
  if (!b) return a;
  return {
    seen: most(a.seen, b.seen),
    given: most(a.given, b.given),
    sumSeen: most(a.sumSeen, b.sumSeen),
    sumGiven: most(a.sumGiven, b.sumGiven),
    weightMax: most(a.weightMax, b.weightMax),
  };
}

/** Of two generations, hosts or windows. */
export function addSampled(a: Sampled, b: Sampled | undefined): Sampled {
  if (!b || isNothing(b)) return a;
  return {
    seen: a.seen + b.seen,
    given: a.given + b.given,
    sumSeen: a.sumSeen + b.sumSeen,
    sumGiven: a.sumGiven + b.sumGiven,
    weightMax: most(a.weightMax, b.weightMax),
  };
}

/** What `to` holds beyond `from`. */
export const sampledRise = (from: Sampled, to: Sampled | undefined): Sampled =>
  to === undefined
    ? nothingSampled
    : {
        seen: rise(from.seen, to.seen),
        given: rise(from.given, to.given),
        sumSeen: rise(from.sumSeen, to.sumSeen),
        sumGiven: rise(from.sumGiven, to.sumGiven),
        weightMax: to.weightMax,
      };

export const isNothing = (s: Sampled): boolean => s.seen === 0n && s.given === 0n;

/** As it is written down: absent where there is nothing, and no more than 64 bits hold, whatever was forged. */
export const stated = (s: Sampled): Sampled | undefined =>
  isNothing(s)
    ? undefined
    : {
        seen: held(s.seen),
        given: held(s.given),
        sumSeen: held(s.sumSeen),
        sumGiven: held(s.sumGiven),
        weightMax: held(s.weightMax),
      };

const heldMax = 2n ** 64n - 1n;
const held = (sum: bigint): bigint => (sum > heldMax ? heldMax : sum);

/** What was counted and is in no row yet; negative where a block that is not over has been given in full. */
export const pendingOf = (s: Sampled): bigint => s.seen - s.given;

/**
 * How sure a bound is: as many standard deviations. 3.5 leave out about 1 in 2,000, so that the twenty rows of a page hold
 * together in 99 of 100.
 */
export const deviations = 3.5;

/**
 * How far a sum of picks may be from what it stands for. `variance` is the sum of (weight - 1) × value over what was
 * added up, `weightMax` the largest weight in it. The truth m behind x satisfies |x - m| ≤ z √(w m); solved for m, and
 * with what one more pick would change.
 */
export function samplingBound(variance: number, weightMax: number): number {
  if (weightMax <= 1) return 0;
  const half = (deviations * deviations * weightMax) / 2;
  return Math.ceil(half + deviations * Math.sqrt(variance + (deviations * deviations * weightMax * weightMax) / 4));
}
