/**
 * Accounts of Muster's own cost and losses, as the agent lays them into the inbox of the probe `muster`: `struct account`
 * in bpf/muster.bpf.c. Little-endian words:
 *
 *   word 0      kind                       word 5       before
 *   word 1…3    source                     word 6       errno
 *   word 4      value                      word 7…10    probe, word 11…16 part: text up to a NUL
 *
 * The walk of the probe's iterator takes them in order and answers each with a byte.
 */
export const accountsProbe = 'muster';
/** Accounts of one walk at most, and bytes of one. */
export const accountsMax = 128;
export const accountBytes = 17 * 8;

/** fill and agentCpu are amounts; the others say where a counter stands. */
export const accountKinds = {
  runs: 1n,
  runTime: 2n,
  skipped: 3n,
  unlabelled: 4n,
  fill: 5n,
  agentCpu: 6n,
  forget: 7n,
} as const;
export type AccountKind = keyof typeof accountKinds;

export interface Account {
  readonly kind: AccountKind;
  /** Of a counter: its lineage, 32 hex digits, and its number there. */
  readonly source?: { readonly uuid: string; readonly number: bigint };
  /** Where the counter stands, or an amount; of `forget`, the number of the kind whose source will not come again. */
  readonly value: bigint;
  /** What a counter that is new to the probe stood at before the probe's time. */
  readonly before?: bigint;
  readonly errno?: number;
  readonly probe: string;
  /** Program, table or process. */
  readonly part: string;
}

/** The answer for an account that was taken; any other: there was no room to remember its source. */
export const accountTaken = '+'.charCodeAt(0);

const probeChars = 31;
const partChars = 47;

export function encodeAccounts(accounts: readonly Account[]): Uint8Array {
  const bytes = new Uint8Array(accounts.length * accountBytes);
  const view = new DataView(bytes.buffer);
  const text = new TextEncoder();
  accounts.forEach(({ kind, source, value, before = 0n, errno = 0, probe, part }, i) => {
    const at = i * accountBytes;
    const words = [
      accountKinds[kind],
      source ? BigInt(`0x${source.uuid.slice(0, 16)}`) : 0n,
      source ? BigInt(`0x${source.uuid.slice(16)}`) : 0n,
      source?.number ?? 0n,
      value,
      before,
      BigInt(errno),
    ];
    words.forEach((word, w) => view.setBigUint64(at + w * 8, word, true));
    text.encodeInto(probe, bytes.subarray(at + 56, at + 56 + probeChars));
    text.encodeInto(part, bytes.subarray(at + 88, at + 88 + partChars));
  });
  return bytes;
}
