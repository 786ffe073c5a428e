/**
 * A captured stack as it lies in the map muster_stacks, and as a label's text. Pure. Layout: bpf/stack.h; a frame of a
 * process is struct bpf_stack_build_id: i32 status, 20 bytes build id, u64 offset in the file or address.
 *   u64 user bytes | u64 kernel bytes | 64 × 32 bytes user | 48 × u64 kernel; innermost first
 */
const userFrames = 64;
const kernelFrames = 48;
const userFrameBytes = 32;
export const stackBytes = 16 + userFrames * userFrameBytes + kernelFrames * 8;

export interface UserFrame {
  /** 40 hex digits; undefined where the kernel could not tell the file: then `offset` is an address. */
  readonly build: string | undefined;
  readonly offset: bigint;
}

export interface Stack {
  /** Innermost first, both. */
  readonly user: readonly UserFrame[];
  readonly kernel: readonly bigint[];
}

const BUILD_ID_VALID = 1;
/** The kernel takes the next mapping for an address that lies in none: its offset in the file is then negative. */
const offsetMax = 1n << 47n;

export function readStack(value: Buffer): Stack {
  const count = (at: number, each: number, most: number): number =>
    Math.min(most, Math.floor(Number(value.readBigUInt64LE(at)) / each));
  const user = Array.from({ length: count(0, userFrameBytes, userFrames) }, (_, i): UserFrame => {
    const at = 16 + i * userFrameBytes;
    const offset = value.readBigUInt64LE(at + 24);
    const known = value.readInt32LE(at) === BUILD_ID_VALID && offset < offsetMax;
    return { build: known ? value.toString('hex', at + 4, at + 24) : undefined, offset };
  });
  const kernel = Array.from({ length: count(8, 8, kernelFrames) }, (_, i) =>
    value.readBigUInt64LE(16 + userFrames * userFrameBytes + i * 8),
  );
  return { user, kernel };
}

/** Longest text of a stack; a label holds a little more. */
const textBytesMax = 4000;
/** How the kernel calls a program: above what led there. */
const calling = /^(__bpf_trace_|bpf_trace_run|__traceiter_|bpf_prog_|bpf_get_stack|trace_call_bpf|perf_trace_)/;

/**
 * Outermost first, with semicolons between them, those of the kernel with _[k] behind them. A frame that was named like
 * a separator is made harmless. What is too long loses its outermost frames.
 */
export function stackText(user: readonly string[], kernel: readonly string[]): string {
  let first = 0;
  // The program itself and the tracepoint that called it stand innermost, some of them without a name.
  for (let i = 0; i < Math.min(kernel.length, 8); i++) if (calling.test(kernel[i]!)) first = i + 1;
  const frames = [...kernel.slice(first).map((name) => `${name}_[k]`), ...user].map((f) => f.replace(/[;\s]/g, '_'));
  const kept: string[] = [];
  let bytes = 0;
  for (const frame of frames) {
    bytes += Buffer.byteLength(frame) + 1;
    if (bytes > textBytesMax) return ['[cut]', ...kept.reverse()].join(';');
    kept.push(frame);
  }
  return kept.reverse().join(';');
}
