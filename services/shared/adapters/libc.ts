/**
 * The few C library calls that Node lacks, and the one door to the foreign function interface (ffi-napi).
 * Only this file and libbpf.ts call through it. Loading is lazy, and failure to load is MusterError ffi/load; a
 * process that gives up its privileges calls preloadForeign() before, since it may not read the files afterwards.
 * A call costs about 3 µs: once per map or per tick, never per row. LP64 Linux.
 * Sources: mmap(2), flock(2), membarrier(2), prctl(2), clock_gettime(2), unix(7).
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { MusterError } from '../runtime/errors.ts';

/** A C function: numbers for integers, Buffers for pointers (null for NULL). `async` runs it on the thread pool. */
export interface ForeignFunction {
  (...args: readonly unknown[]): number;
  async(...args: readonly unknown[]): void;
}

/** Return type and argument types, in the names of the FFI: int, uint, long, size_t, pointer, void. */
export type Signatures = Readonly<Record<string, readonly [string, readonly string[]]>>;

interface Foreign {
  Library: new (file: string | null, functions: Signatures) => Record<string, ForeignFunction>;
  Callback: (result: string, args: readonly string[], body: (...args: never[]) => unknown) => Buffer;
  errno(): number;
  readPointer(buffer: Buffer, offset: number, length: number): Buffer;
}

let foreign: Foreign | undefined;

/** The FFI itself; throws MusterError ffi/load when its native part was never built. */
export function loadForeign(): Foreign {
  if (foreign) return foreign;
  const require = createRequire(import.meta.url);
  try {
    const ffi = require('ffi-napi') as Foreign;
    const ref = require('@2060.io/ref-napi') as Pick<Foreign, 'readPointer'>;
    foreign = {
      Library: ffi.Library,
      Callback: ffi.Callback,
      errno: ffi.errno,
      readPointer: (buffer, offset, length) => ref.readPointer(buffer, offset, length),
    };
  } catch (cause) {
    throw new MusterError('ffi/load', 'load ffi-napi: its native part is missing or does not fit this Node', {
      cause,
      remedy: 'npm rebuild (needs g++, make, python3), or run deploy/setup.sh',
    });
  }
  return foreign;
}

/** Opens a shared library, or the C library for null. */
export function openLibrary<S extends Signatures>(file: string | null, functions: S): Record<keyof S, ForeignFunction> {
  const { Library } = loadForeign();
  try {
    return new Library(file, functions) as Record<keyof S, ForeignFunction>;
  } catch (cause) {
    throw new MusterError('ffi/load', `load ${file ?? 'the C library'}`, { cause });
  }
}

let library: Record<keyof typeof signatures, ForeignFunction> | undefined;
const signatures = {
  mmap: ['long', ['long', 'size_t', 'int', 'int', 'int', 'long']],
  munmap: ['int', ['long', 'size_t']],
  flock: ['int', ['int', 'int']],
  prctl: ['int', ['int', 'long', 'long', 'long', 'long']],
  capset: ['int', ['pointer', 'pointer']],
  clock_gettime: ['int', ['int', 'pointer']],
  getsockopt: ['int', ['int', 'int', 'int', 'pointer', 'pointer']],
  syscall: ['long', ['long', 'long', 'long', 'long']],
} as const satisfies Signatures;

const libc = (): Record<keyof typeof signatures, ForeignFunction> => (library ??= openLibrary(null, signatures));

/** Loads what later calls need, so that they work after the privilege to read files is gone. */
export function preloadForeign(): void {
  libc();
}

/** The last C error as "EACCES"; "0" when there is none. */
export const errnoName = (errno: number): string => {
  const code = Math.abs(errno);
  if (code === 0) return '0';
  try {
    return getSystemErrorName(-code);
  } catch {
    return `errno ${code}`;
  }
};
const lastError = (): string => errnoName(loadForeign().errno());

/** Memory of this process that is someone else's too. Use after unmap() is a crash of the process. */
export interface Mapping {
  /** All of it as 64-bit words; an element is read and written by one access. */
  readonly words: BigUint64Array;
  readonly bytes: number;
  unmap(): void;
}

/** Maps `bytes` of a descriptor, shared and writable on request. */
export function mapShared(fd: number, bytes: number, writable: boolean, what: string): Mapping {
  const PROT_READ = 1;
  const PROT_WRITE = 2;
  const MAP_SHARED = 1;
  const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const address = libc().mmap(0, bytes, protection, MAP_SHARED, fd, 0);
  if (address === -1) {
    const cause = lastError();
    throw new MusterError('bpf/map', `map ${what} into memory: ${cause}`, { values: { bytes }, cause });
  }
  const pointer = Buffer.alloc(8);
  pointer.writeBigUInt64LE(BigInt(address));
  const memory = loadForeign().readPointer(pointer, 0, bytes);
  let mapped = true;
  return {
    words: new BigUint64Array(memory.buffer, memory.byteOffset, Math.floor(bytes / 8)),
    bytes,
    unmap() {
      if (mapped) libc().munmap(address, bytes);
      mapped = false;
    },
  };
}

/** Takes an exclusive lock on an open file or directory; false when another process holds it. Closing releases it. */
export function tryLockExclusive(fd: number, what: string): boolean {
  const LOCK_EX = 2;
  const LOCK_NB = 4;
  if (libc().flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = loadForeign().errno();
  if (errno === constants.errno.EWOULDBLOCK || errno === constants.errno.EINTR) return false;
  throw new MusterError('bpf/pin', `lock ${what}: ${errnoName(errno)}`);
}

/**
 * Waits, off the event loop, until every program that is running now has ended: one RCU grace period. False where the
 * kernel refuses (nohz_full). With one CPU online the kernel returns at once, without waiting: the caller checks that.
 */
export function membarrierGlobal(): Promise<boolean> {
  const number = process.arch === 'x64' ? 324 : 283;
  const MEMBARRIER_CMD_GLOBAL = 1;
  return new Promise((resolve, reject) => {
    libc().syscall.async(number, MEMBARRIER_CMD_GLOBAL, 0, 0, (error: Error | null, result: number) => {
      if (error) reject(error);
      else resolve(result === 0);
    });
  });
}

/** perf_event_open(2) for all processes of one CPU: a descriptor, or −errno. `number`: of the system call here. */
export function perfEventOpen(number: number, attributes: Buffer, cpu: number): number {
  const { syscall } = openLibrary(null, { syscall: ['long', ['long', 'pointer', 'int', 'int', 'int', 'long']] });
  const PERF_FLAG_FD_CLOEXEC = 8;
  const fd = Number(syscall(number, attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
  return fd < 0 ? -loadForeign().errno() : fd;
}

const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;

/** prctl(2) for the calling thread alone; returns −1 on failure. */
export const prctl = (option: number, a = 0, b = 0, c = 0, d = 0): number => libc().prctl(option, a, b, c, d);

/** Empties the bounding set of the main thread; other threads keep theirs (start the process with it empty for all). */
export function dropBoundingSet(): void {
  for (let capability = 0; capability < 64; capability++) if (prctl(PR_CAPBSET_DROP, capability) !== 0) return;
}

/** No exec of the main thread, nor of threads it starts, ever gains a privilege again. */
export const setNoNewPrivileges = (): boolean => prctl(PR_SET_NO_NEW_PRIVS, 1) === 0;

/** The main thread's permitted capabilities outlive the loss of uid 0, so that it can choose which to keep. */
export const keepPermitted = (keep: boolean): boolean => prctl(PR_SET_KEEPCAPS, keep ? 1 : 0) === 0;

/** The main thread's capabilities from now on, a bit mask: of the permitted ones only; false when refused. */
export function setCapabilities(mask: bigint): boolean {
  // struct __user_cap_header_struct: u32 version, int pid; then twice, low words first: u32 effective, permitted, inheritable.
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x20080522);
  const sets = Buffer.alloc(24);
  for (const [i, word] of [Number(mask & 0xffffffffn), Number(mask >> 32n)].entries()) {
    sets.writeUInt32LE(word, i * 12);
    sets.writeUInt32LE(word, i * 12 + 4);
  }
  return libc().capset(header, sets) === 0;
}

/** uid of the process at the other end of a Unix socket, as the kernel knows it; undefined when it cannot be told. */
export function peerUid(socket: object): number | undefined {
  // Node gives a socket's descriptor through its handle only.
  const fd = (socket as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  const SOL_SOCKET = 1;
  const SO_PEERCRED = 17;
  const credentials = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(credentials.length);
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) return undefined;
  return credentials.readUInt32LE(4);
}

const timespec = Buffer.alloc(16);
const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;
const clock = (id: number): bigint => {
  libc().clock_gettime(id, timespec);
  return timespec.readBigInt64LE(0) * 1_000_000_000n + timespec.readBigInt64LE(8);
};

/** ns since boot, time asleep included: the clock of lineages and read intervals. */
export const boottimeNs = (): bigint => clock(CLOCK_BOOTTIME);

/** ns since 1970. */
export const wallNs = (): bigint => clock(CLOCK_REALTIME);
