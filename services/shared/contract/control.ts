/**
 * The pinned control map of a lineage: `struct muster_control` in bpf/muster.bpf.h.
 *
 *   word 0      control word: bit 0 slot | bits 1…7 state | bits 8…63 generation   (programs read bit 0 only)
 *   word 1      governor word: bits 0…5 level of sampling | bit 6 stacks left out | bits 8…31 budget | bits 32…63 since
 *   word 2…30   by table: log2 of the units of its usual event, for sampling
 *   word 31     Unix time minus CLOCK_BOOTTIME, ns: by what programs tell the second (seconds.ts)
 *   word 32…63  retired sums, even generations: [generation, seen of table 0, seen of table 1, …]
 *   word 64…95  retired sums, odd generations
 *
 * The control word changes by one 64-bit store. A retired record is written before the word that makes it valid,
 * into the half that the present generation's parity does not use, so that a crash between leaves the old one intact.
 */
export const controlWords = 96;
export const retiredWords = 32;
export const tablesMax = retiredWords - 3;

/**
 * counting: only the active slot holds counts; the other is empty.
 * sealing:  the slots were flipped; programs may still write the old one until a grace period has passed.
 * sealed:   the old slot is final, and waits for a durable checkpoint.
 * clearing: the old slot is durable elsewhere and is being zeroed; its content means nothing.
 */
export const slotStates = ['counting', 'sealing', 'sealed', 'clearing'] as const;
export type SlotState = (typeof slotStates)[number];

export interface Control {
  /** Slot that programs write. */
  readonly slot: 0 | 1;
  /** State of the other slot. */
  readonly state: SlotState;
  /** Generation of the active slot, from 1; the other slot holds generation - 1 unless counting. */
  readonly generation: bigint;
}

export function encodeControl(c: Control): bigint {
  return (c.generation << 8n) | BigInt(slotStates.indexOf(c.state) << 1) | BigInt(c.slot);
}

/** Where the governor's words stand. Only the keeper writes them; they change nothing about slots and generations. */
export const governorWord = 1;
export const scaleWord = 2;
/** Whoever reads sets it anew after the clock was set. */
export const clockWord = retiredWords - 1;

/** What a probe gives up to keep to its budget. */
export interface Governed {
  /** One unit in 2^(level + scale of the table) is attributed; 0: each. */
  readonly level: number;
  readonly stacksDropped: boolean;
  /** Its budget, in millionths of one core; 0: none. */
  readonly budgetPpm: number;
  /** Since when it is as it is, Unix seconds. */
  readonly sinceWallS: number;
}

/** Largest level, and largest budget: 16 cores. */
export const levelMax = 63;
export const budgetPpmMax = 2 ** 24 - 1;

export const encodeGoverned = (g: Governed): bigint =>
  BigInt(g.level) | (g.stacksDropped ? 64n : 0n) | (BigInt(g.budgetPpm) << 8n) | (BigInt(g.sinceWallS) << 32n);

export const decodeGoverned = (word: bigint): Governed => ({
  level: Number(word & 63n),
  stacksDropped: (word & 64n) !== 0n,
  budgetPpm: Number((word >> 8n) & 0xffffffn),
  sinceWallS: Number((word >> 32n) & 0xffffffffn),
});

/** Undefined for a word that no version of Muster writes. */
export function decodeControl(word: bigint): Control | undefined {
  const state = slotStates[Number((word >> 1n) & 0x7fn)];
  const generation = word >> 8n;
  if (state === undefined || generation === 0n) return undefined;
  return { slot: Number(word & 1n) as 0 | 1, state, generation };
}
