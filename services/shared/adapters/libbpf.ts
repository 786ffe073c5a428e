/**
 * libbpf by descriptor: pins, maps, information. Objects are in libbpf-object.ts; nothing else calls libbpf.
 * libbpf 1.x returns −errno. Its own messages never reach the terminal: they are kept for the next error.
 * Sources: <bpf/bpf.h>, <linux/bpf.h> (struct bpf_prog_info, bpf_map_info; fields are only ever appended).
 */
import { MusterError } from '../runtime/errors.ts';
import type { ErrorCode } from '../runtime/errors.ts';
import { errnoName, loadForeign, openLibrary } from './libc.ts';
import type { ForeignFunction, Signatures } from './libc.ts';

const signatures = {
  libbpf_set_print: ['pointer', ['pointer']],
  libbpf_num_possible_cpus: ['int', []],
  bpf_obj_get: ['int', ['string']],
  bpf_obj_pin: ['int', ['int', 'string']],
  bpf_map_create: ['int', ['int', 'string', 'uint32', 'uint32', 'uint32', 'pointer']],
  bpf_map_freeze: ['int', ['int']],
  bpf_prog_load: ['int', ['int', 'string', 'string', 'pointer', 'size_t', 'pointer']],
  bpf_map_lookup_elem: ['int', ['int', 'pointer', 'pointer']],
  bpf_map_update_elem: ['int', ['int', 'pointer', 'pointer', 'uint64']],
  bpf_map_get_next_key: ['int', ['int', 'pointer', 'pointer']],
  bpf_map_lookup_batch: ['int', ['int', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer']],
  bpf_map_lookup_and_delete_batch: ['int', ['int', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer']],
  bpf_obj_get_info_by_fd: ['int', ['int', 'pointer', 'pointer']],
  bpf_enable_stats: ['int', ['int']],
  bpf_object__open_mem: ['pointer', ['pointer', 'size_t', 'pointer']],
  bpf_object__load: ['int', ['pointer']],
  bpf_object__close: ['void', ['pointer']],
  bpf_object__find_map_by_name: ['pointer', ['pointer', 'string']],
  bpf_object__find_program_by_name: ['pointer', ['pointer', 'string']],
  bpf_map__fd: ['int', ['pointer']],
  bpf_map__set_max_entries: ['int', ['pointer', 'uint32']],
  bpf_map__set_initial_value: ['int', ['pointer', 'pointer', 'size_t']],
  bpf_program__fd: ['int', ['pointer']],
  bpf_program__set_autoload: ['int', ['pointer', 'bool']],
  bpf_program__set_log_buf: ['int', ['pointer', 'pointer', 'size_t']],
  bpf_program__attach: ['pointer', ['pointer']],
  bpf_program__attach_uprobe_opts: ['pointer', ['pointer', 'int', 'string', 'size_t', 'pointer']],
  bpf_program__attach_perf_event: ['pointer', ['pointer', 'int']],
  bpf_link__fd: ['int', ['pointer']],
  bpf_link__disconnect: ['void', ['pointer']],
  bpf_link__destroy: ['int', ['pointer']],
} as const satisfies Signatures;

type Libbpf = Record<keyof typeof signatures, ForeignFunction>;
let library: Libbpf | undefined;

const messageBytesMax = 4096;
const messagesMax = 64;
let messages: string[] = [];
/** Kept for the life of the process: C holds a bare pointer to it. */
let printer: Buffer | undefined;

/** The library, loaded once. Throws MusterError ffi/load. */
export function libbpf(): Libbpf {
  if (library) return library;
  library = openLibrary('libbpf.so.1', signatures);
  const { vsnprintf } = openLibrary(null, { vsnprintf: ['int', ['pointer', 'size_t', 'pointer', 'pointer']] });
  const text = Buffer.alloc(messageBytesMax);
  const DEBUG = 2;
  // A va_list argument is a pointer in the calling conventions of x86-64 and arm64: it is handed on as one.
  printer = loadForeign().Callback('int', ['int', 'pointer', 'pointer'], ((
    level: number,
    format: Buffer,
    args: Buffer,
  ) => {
    if (level >= DEBUG || messages.length >= messagesMax) return 0;
    const length = Math.min(vsnprintf(text, text.length, format, args), text.length - 1);
    if (length > 0) messages.push(text.toString('utf8', 0, length).trimEnd());
    return 0;
  }) as (...args: never[]) => unknown);
  library.libbpf_set_print(printer);
  return library;
}

/** What libbpf said since the last call. */
export function takeMessages(): string[] {
  const taken = messages;
  messages = [];
  return taken;
}

/** An error for a negative result, with libbpf's words as cause; EPERM is always lack of privilege. */
export function bpfError(code: ErrorCode, what: string, result: number, log?: string): MusterError {
  const said = takeMessages();
  const errno = errnoName(result);
  const cause = [errno, ...said.map((m) => m.replace(/^libbpf: /, ''))].join('; ');
  if (errno === 'EPERM' && code !== 'bpf/verifier') return new MusterError('bpf/no-privilege', what, { cause });
  return new MusterError(code, `${what}: ${errno}`, { cause, ...(log ? { log } : {}) });
}

const checked = (code: ErrorCode, what: string, result: number): number => {
  if (result < 0) throw bpfError(code, what, result);
  return result;
};

/** CPUs the kernel may ever have: the stride of everything that is per CPU. */
export const possibleCpus = (): number =>
  checked('bpf/map', 'count possible CPUs', libbpf().libbpf_num_possible_cpus());

/** A descriptor of what is pinned at `path`; undefined when nothing is. The caller closes it. */
export function getPinned(path: string): number | undefined {
  const fd = libbpf().bpf_obj_get(path);
  if (errnoName(fd) === 'ENOENT' && fd < 0) return undefined;
  if (fd < 0) {
    const denied = ['EACCES', 'EPERM'].includes(errnoName(fd));
    const remedy = denied ? { remedy: 'run with the group that --gid of the loader names, or as root' } : {};
    throw new MusterError('bpf/map', `open pin ${path}: ${errnoName(fd)}`, { cause: errnoName(fd), ...remedy });
  }
  return fd;
}

export const pin = (fd: number, path: string): void => {
  checked('bpf/pin', `pin ${path}`, libbpf().bpf_obj_pin(fd, path));
};

export interface MapInfo {
  readonly type: number;
  readonly id: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxRows: number;
}

const info = Buffer.alloc(512);
const infoLength = Buffer.alloc(4);
function readInfo(fd: number, what: string): number {
  info.fill(0);
  infoLength.writeUInt32LE(info.length);
  checked('bpf/map', `read information of ${what}`, libbpf().bpf_obj_get_info_by_fd(fd, info, infoLength));
  return infoLength.readUInt32LE();
}

export function mapInfo(fd: number, what: string): MapInfo {
  readInfo(fd, what);
  const [type, id, keyBytes, valueBytes, maxRows] = [0, 4, 8, 12, 16].map((at) => info.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { type, id, keyBytes, valueBytes, maxRows };
}

export interface ProgramInfo {
  readonly id: number;
  /** 16 hex digits. */
  readonly tag: string;
  readonly runTimeNs: bigint;
  readonly runs: bigint;
  /** Undefined on kernels without the field (before 5.12). */
  readonly recursionMisses: bigint | undefined;
}

export function programInfo(fd: number, what: string): ProgramInfo {
  const length = readInfo(fd, what);
  return {
    id: info.readUInt32LE(4),
    tag: info.toString('hex', 8, 16),
    runTimeNs: info.readBigUInt64LE(192),
    runs: info.readBigUInt64LE(200),
    recursionMisses: length >= 216 ? info.readBigUInt64LE(208) : undefined,
  };
}

/** Kernel numbers of map types (enum bpf_map_type). */
export const mapType = { hash: 1, array: 2, arrayOfMaps: 12 } as const;

/** Creates a map of its own. `innerFd` is the template of a map of maps. */
export function createMap(
  type: number,
  name: string,
  key: number,
  value: number,
  rows: number,
  innerFd?: number,
): number {
  // struct bpf_map_create_opts: size_t sz; u32 btf_fd, btf_key, btf_value, btf_vmlinux_value, inner_map_fd, …
  let options: Buffer | null = null;
  if (innerFd !== undefined) {
    options = Buffer.alloc(48);
    options.writeBigUInt64LE(BigInt(options.length));
    options.writeUInt32LE(innerFd, 24);
  }
  return checked('bpf/map', `create map ${name}`, libbpf().bpf_map_create(type, name, key, value, rows, options));
}

export const freezeMap = (fd: number, what: string): void => {
  checked('bpf/map', `freeze ${what}`, libbpf().bpf_map_freeze(fd));
};

export function lookup(fd: number, key: Buffer, value: Buffer, what: string): void {
  checked('bpf/map', `read ${what}`, libbpf().bpf_map_lookup_elem(fd, key, value));
}

export function update(fd: number, key: Buffer, value: Buffer, what: string): void {
  checked('bpf/map', `write ${what}`, libbpf().bpf_map_update_elem(fd, key, value, 0));
}

/** An update on the thread pool; for a map of maps it returns after one grace period of the kernel. */
export function updateAsync(fd: number, key: Buffer, value: Buffer, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    libbpf().bpf_map_update_elem.async(fd, key, value, 0, (error: Error | null, result: number) => {
      if (error) reject(error);
      else if (result < 0) reject(bpfError('bpf/map', `write ${what}`, result));
      else resolve();
    });
  });
}

/** True when a hash map has no key at all. */
export function mapEmpty(fd: number, keyBytes: number, what: string): boolean {
  const result = libbpf().bpf_map_get_next_key(fd, null, Buffer.alloc(keyBytes));
  if (result < 0 && errnoName(result) === 'ENOENT') return true;
  checked('bpf/map', `read keys of ${what}`, result);
  return false;
}

/** Deletes every key of a hash map that no one writes, in chunks. */
export function drainMap(fd: number, keyBytes: number, valueBytes: number, rows: number, what: string): void {
  for (const _ of chunks('bpf_map_lookup_and_delete_batch', fd, keyBytes, valueBytes, rows, what));
}

/** A chunk's keys and values; both are overwritten by the next. */
export interface Chunk {
  readonly count: number;
  readonly keys: Buffer;
  readonly values: Buffer;
}

/** Reads a map by batch look-ups, for maps that cannot be mapped. */
export const readChunks = (
  fd: number,
  keyBytes: number,
  valueBytes: number,
  rows: number,
  what: string,
): Iterable<Chunk> => chunks('bpf_map_lookup_batch', fd, keyBytes, valueBytes, rows, what);

const chunkRowsMax = 4096;
function* chunks(
  call: 'bpf_map_lookup_batch' | 'bpf_map_lookup_and_delete_batch',
  fd: number,
  keyBytes: number,
  valueBytes: number,
  rows: number,
  what: string,
): Generator<Chunk> {
  let capacity = Math.min(chunkRowsMax, Math.max(64, rows));
  let keys = Buffer.alloc(capacity * keyBytes);
  let values = Buffer.alloc(capacity * valueBytes);
  const count = Buffer.alloc(4);
  // The token is a u32 for a hash, a key for others: room for either.
  const token = Buffer.alloc(Math.max(8, keyBytes));
  for (let first = true; ;) {
    count.writeUInt32LE(capacity);
    const result = libbpf()[call](fd, first ? null : token, token, keys, values, count, null);
    const errno = result < 0 ? errnoName(result) : '0';
    if (errno === 'ENOSPC') {
      // One bucket holds more than fits: nothing was returned.
      capacity *= 2;
      keys = Buffer.alloc(capacity * keyBytes);
      values = Buffer.alloc(capacity * valueBytes);
      continue;
    }
    if (errno !== '0' && errno !== 'ENOENT') throw bpfError('bpf/map', `read ${what} in chunks`, result);
    const got = count.readUInt32LE();
    if (got > 0 && got <= capacity) yield { count: got, keys, values };
    if (errno === 'ENOENT') return;
    first = false;
  }
}

/** Opens a period in which the kernel times every program run (about 75 ns an event); closing the descriptor ends it. */
export function enableStatistics(): number {
  const BPF_STATS_RUN_TIME = 0;
  return checked('bpf/no-privilege', 'open a statistics period', libbpf().bpf_enable_stats(BPF_STATS_RUN_TIME));
}
