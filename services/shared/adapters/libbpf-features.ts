/**
 * Tries out what this kernel has of what Muster needs: some tiny programs and maps, gone again at once. Needs the
 * privilege to load. Sources: <linux/bpf.h>, Documentation/bpf/standardization/instruction-set.rst.
 */
import { closeSync } from 'node:fs';
import type { KernelFeature } from '../runtime/kernel-features.ts';
import { libbpf, mapType, programInfo } from './libbpf.ts';
import { errnoName } from './libc.ts';

const RAW_TRACEPOINT = 17;
const BPF_F_MMAPABLE = 1 << 10;
const GET_CURRENT_TASK_BTF = 158;

/** struct bpf_insn: u8 code, u8 registers (source << 4 | destination), s16 offset, s32 immediate. */
function instructions(...list: readonly (readonly [code: number, registers: number, offset: number, imm: number])[]) {
  const bytes = Buffer.alloc(list.length * 8);
  for (const [i, [code, registers, offset, imm]] of list.entries()) {
    bytes.writeUInt8(code, i * 8);
    bytes.writeUInt8(registers, i * 8 + 1);
    bytes.writeInt16LE(offset, i * 8 + 2);
    bytes.writeInt32LE(imm, i * 8 + 4);
  }
  return bytes;
}

const returnZero = [
  [0xb7, 0x00, 0, 0], // r0 = 0
  [0x95, 0x00, 0, 0], // exit
] as const;

const fetchAndAdd = instructions(
  [0xb7, 0x01, 0, 1], // r1 = 1
  [0x7b, 0x1a, -8, 0], // *(u64 *)(r10 - 8) = r1
  [0xdb, 0x1a, -8, 0x01], // r1 = atomic_fetch_add((u64 *)(r10 - 8), r1)
  ...returnZero,
);
const currentTask = instructions([0x85, 0x00, 0, GET_CURRENT_TASK_BTF], ...returnZero);

/** All features, in the order in which Linux got them. */
export function kernelFeatures(): KernelFeature[] {
  return [
    { name: 'maps that can be mapped into memory', since: '5.5', present: hasMappedArrays() },
    { name: 'batched reads of maps', since: '5.6', present: hasBatches() },
    { name: 'tasks as typed pointers (bpf_get_current_task_btf)', since: '5.11', present: loads(currentTask) },
    { name: 'atomic instructions that give the old value', since: '5.12', present: loads(fetchAndAdd) },
    { name: 'count of skipped runs (recursion_misses)', since: '5.12', present: countsSkips() },
  ];
}

/** A descriptor, or a negative errno. */
const loadProgram = (code: Buffer): number =>
  libbpf().bpf_prog_load(RAW_TRACEPOINT, 'muster_feature', 'GPL', code, code.length / 8, null);

function loads(code: Buffer): boolean {
  const fd = loadProgram(code);
  if (fd >= 0) closeSync(fd);
  return fd >= 0;
}

function countsSkips(): boolean {
  const fd = loadProgram(instructions(...returnZero));
  if (fd < 0) return false;
  try {
    return programInfo(fd, 'a program').recursionMisses !== undefined;
  } finally {
    closeSync(fd);
  }
}

function hasMappedArrays(): boolean {
  // struct bpf_map_create_opts: size_t sz, five u32 of BTF and inner map, u32 map_flags, …
  const options = Buffer.alloc(48);
  options.writeBigUInt64LE(BigInt(options.length));
  options.writeUInt32LE(BPF_F_MMAPABLE, 28);
  const fd = libbpf().bpf_map_create(mapType.array, 'muster_feature', 4, 8, 1, options);
  if (fd >= 0) closeSync(fd);
  return fd >= 0;
}

function hasBatches(): boolean {
  const fd = libbpf().bpf_map_create(mapType.hash, 'muster_feature', 4, 4, 1, null);
  if (fd < 0) return false;
  try {
    const [key, value, token, count] = [Buffer.alloc(4), Buffer.alloc(4), Buffer.alloc(8), Buffer.alloc(4)];
    count.writeUInt32LE(1);
    const result = libbpf().bpf_map_lookup_batch(fd, null, token, key, value, count, null);
    // An empty map ends at once.
    return result >= 0 || errnoName(result) === 'ENOENT';
  } finally {
    closeSync(fd);
  }
}

/**
 * True when this process may make no bpf() call at all: it has no CAP_BPF, unprivileged BPF is off
 * (kernel.unprivileged_bpf_disabled), and the kernel is older than 5.19, which refuses then even the look at a map.
 */
export function bpfRefused(): boolean {
  // A descriptor that is none: EBADF from a kernel that looks at it.
  const result = libbpf().bpf_map_lookup_elem(-1, Buffer.alloc(8), Buffer.alloc(8));
  return result < 0 && errnoName(result) === 'EPERM';
}
