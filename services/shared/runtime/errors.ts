/**
 * Every operational error of Muster, in one table: a stable code, what the caller does with it, and the remedy.
 * Codes are never reused. Adapters translate foreign errors into these once and keep the cause.
 */

/** retry: the same act may succeed later. drop: this item is lost and counted. halt: this role cannot go on. reject: the caller must change the input. */
export type Disposition = 'retry' | 'drop' | 'halt' | 'reject';

const table = {
  'bpf/no-privilege': [
    'halt',
    'run as root, or grant CAP_BPF, CAP_PERFMON and CAP_DAC_OVERRIDE; or try `muster doctor`',
  ],
  'bpf/no-btf': ['halt', 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y (/sys/kernel/btf/vmlinux)'],
  'bpf/kernel': ['halt', 'use Linux 6.1 or newer, or a distribution’s kernel that has these; see `muster doctor`'],
  'bpf/no-bpffs': ['halt', 'mount -t bpf bpf /sys/fs/bpf'],
  'bpf/object': ['reject', 'build the object with `clang -g -O2 -target bpf` against bpf/muster.bpf.h'],
  'bpf/contract': [
    'reject',
    'include "muster.bpf.h" and declare at least one table with MUSTER_COUNTER or MUSTER_HISTOGRAM',
  ],
  'bpf/verifier': ['reject', 'read the verifier log; its last lines name the instruction'],
  'bpf/attach': ['reject', 'see `muster doctor` for the hooks this kernel has'],
  'bpf/pin': ['halt', 'check that the pin root is on bpffs and writable'],
  'bpf/map': ['halt', 'see the errno; `muster doctor` checks map access'],
  'bpf/compile': ['reject', 'correct the source; clang’s words are above'],
  'bpf/licence': ['reject', 'add: char LICENSE[] SEC("license") = "Dual BSD/GPL";'],
  'bpf/clash': ['reject', 'unload what runs under that name first (`muster unload PROBE`), or choose another name'],
  'bpf/memory': ['reject', 'give the table fewer rows with --rows TABLE=N'],
  'pins/locked': ['halt', 'another Muster owns these pins: stop it, or use another --pin-root'],
  'pins/none': ['retry', 'start the loader: `muster load`'],
  'ffi/load': ['halt', 'install libbpf (apt-get install libbpf-dev) and run deploy/setup.sh'],
  'bus/unreachable': ['retry', 'start nats-server, or check --nats'],
  'bus/refused': ['halt', 'check the NATS credentials and permissions'],
  'bus/no-jetstream': ['halt', 'start nats-server with JetStream (-js)'],
  'bus/unfit': ['halt', 'delete or rename the stream MUSTER on this server: Muster makes its own'],
  'bus/stream-full': ['retry', 'the agent holds until the aggregator has made room'],
  'bus/publish': ['retry', 'the batch is sent again as a keyframe'],
  'store/unreachable': ['retry', 'start redis-server, or check --redis'],
  'store/refused': ['halt', 'check the Redis password or ACL'],
  'store/unfit': ['halt', 'set maxmemory-policy noeviction and appendonly yes'],
  'store/full': ['retry', 'raise maxmemory or shorten the retention'],
  'store/conflict': ['halt', 'another aggregator owns this partition; this one gives it up'],
  'store/superseded': ['halt', 'of two that run side by side give each a --name of its own'],
  'store/corrupt': ['drop', 'the checkpoint before it is used; a resync restores live totals'],
  'store/newer-format': ['halt', 'upgrade this Muster: the checkpoint was written by a newer one'],
  'wire/malformed': ['drop', 'the message is quarantined and counted'],
  'wire/version': ['drop', 'upgrade the aggregator before the agents'],
  'wire/host-mismatch': ['drop', 'an agent may speak for its own host only'],
  'wire/too-large': ['drop', 'messages stay under 512 KiB'],
  'config/invalid': ['reject', 'see --help'],
  'config/address-in-use': ['halt', 'choose another --listen address'],
  'state/in-use': ['halt', 'stop the other `muster up`, or use another --state-dir'],
  'role/failed': ['halt', 'see the log of the role'],
  'role/no-program': ['halt', 'run deploy/setup.sh'],
  'keeper/unreachable': ['retry', 'the keeper may be restarting; see its log'],
  'keeper/refused': ['drop', 'the keeper does not allow this request'],
  'query/unreachable': ['retry', 'start `muster up`, or check --server'],
} as const satisfies Record<string, readonly [Disposition, string]>;

export type ErrorCode = keyof typeof table;

/** All codes, for documentation and exhaustive tests. */
export const errorCodes = Object.keys(table) as ErrorCode[];

export interface ErrorDetail {
  /** Values that matter, printed in the message as `name=value`. */
  readonly values?: Readonly<Record<string, string | number | bigint>>;
  /** The foreign error. */
  readonly cause?: unknown;
  /** Replaces the table's remedy where the place knows better. */
  readonly remedy?: string;
  /** Long text kept beside the message, e.g. a whole verifier log. */
  readonly log?: string;
}

/** An operational error. `message` reads "operation: cause (values; remedy)". */
export class MusterError extends Error {
  override readonly name = 'MusterError';
  readonly disposition: Disposition;
  readonly remedy: string;
  readonly log: string | undefined;

  constructor(
    readonly code: ErrorCode,
    readonly what: string,
    detail: ErrorDetail = {},
  ) {
    const [disposition, remedy] = table[code];
    const values = Object.entries(detail.values ?? {}).map(([name, value]) => `${name}=${value}`);
    const chosen = detail.remedy ?? remedy;
    super(`${what} (${[...values, chosen].join('; ')})`, { cause: detail.cause });
    this.disposition = disposition;
    this.remedy = chosen;
    this.log = detail.log;
  }

  /** For a terminal: what, why, the next command. */
  get threeLines(): string {
    // "operation: cause" says both where no foreign error stands behind it.
    const [, operation, reason] = /^(.+?): (.+)$/s.exec(this.what) ?? [];
    const cause = describeCause(this.cause);
    if (cause || !operation || !reason)
      return `error: ${this.what}\n  why: ${cause || this.code}\n  fix: ${this.remedy}`;
    return `error: ${operation}\n  why: ${reason}\n  fix: ${this.remedy}`;
  }
}

/** One line for any thrown value. */
export function describeCause(cause: unknown): string {
  if (cause === undefined || cause === null) return '';
  if (cause instanceof Error) return cause.message.split('\n')[0] ?? cause.name;
  return String(cause);
}
