/**
 * One BPF object in the kernel's hands: open from bytes, size, set constants, load, attach. Nothing here decides.
 * After close() only what was pinned lives on: no descriptor of a link stays, so that removing its pin detaches.
 * Source: <bpf/libbpf.h> 1.x.
 */
import { closeSync } from 'node:fs';
import { MusterError } from '../runtime/errors.ts';
import { bpfError, libbpf, programInfo, takeMessages } from './libbpf.ts';
import type { ProgramInfo } from './libbpf.ts';
import { errnoName, loadForeign } from './libc.ts';
import { closePerfEvents, openCpuClock } from './perf-events.ts';
import { linkName, programOfLink } from '../contract/lineage.ts';

const logBytes = 1 << 20;

/** A program that would not load or attach, with the kernel's reason. */
export interface Refusal {
  readonly program: string;
  readonly error: MusterError;
}

/** NULL comes back as a Buffer at address 0; the FFI gives every Buffer the question. */
const isNull = (pointer: Buffer): boolean => (pointer as Buffer & { isNull(): boolean }).isNull();

/** struct bpf_object_open_opts: size_t sz; const char *object_name. Names the object in messages and its maps. */
function openOptions(name: string): Buffer {
  const options = Buffer.alloc(16) as Buffer & { writePointer(pointer: Buffer, offset: number): void };
  options.writeBigUInt64LE(BigInt(options.length));
  options.writePointer(Buffer.from(`${name}\0`), 8);
  return options;
}

/** struct bpf_uprobe_opts: size_t sz, size_t ref_ctr_offset, u64 cookie, bool retprobe, const char *func_name. */
function uprobeOptions(symbol: string, cookie: bigint, onReturn: boolean): Buffer {
  const options = Buffer.alloc(40) as Buffer & { writePointer(pointer: Buffer, offset: number): void };
  options.writeBigUInt64LE(BigInt(options.length));
  options.writeBigUInt64LE(cookie, 16);
  options.writeUInt8(onReturn ? 1 : 0, 24);
  options.writePointer(Buffer.from(`${symbol}\0`), 32);
  return options;
}

export class BpfObject {
  private readonly links = new Map<string, Buffer>();
  private closed = false;

  private constructor(
    private readonly pointer: Buffer,
    readonly name: string,
    private readonly log: Buffer,
    /** libbpf reads the object's bytes until it is loaded: kept from the collector. */
    readonly bytes: Buffer,
  ) {}

  /** `programs`: names of all its programs. Throws MusterError bpf/object. */
  static open(bytes: Uint8Array, name: string, programs: readonly string[]): BpfObject {
    takeMessages();
    const copy = Buffer.from(bytes);
    const lib = libbpf();
    const pointer = lib.bpf_object__open_mem(copy, copy.length, openOptions(name)) as unknown as Buffer;
    if (isNull(pointer)) throw bpfError('bpf/object', `open object ${name}`, -loadForeign().errno());
    const object = new BpfObject(pointer, name, Buffer.alloc(logBytes), copy);
    for (const program of programs) {
      lib.bpf_program__set_autoload(object.program(program), true);
      lib.bpf_program__set_log_buf(object.program(program), object.log, object.log.length);
    }
    return object;
  }

  private map(name: string): Buffer {
    const found = libbpf().bpf_object__find_map_by_name(this.pointer, name) as unknown as Buffer;
    if (isNull(found)) throw new MusterError('bpf/object', `find map ${name} in object ${this.name}`);
    return found;
  }

  private program(name: string): Buffer {
    const found = libbpf().bpf_object__find_program_by_name(this.pointer, name) as unknown as Buffer;
    if (isNull(found)) throw new MusterError('bpf/object', `find program ${name} in object ${this.name}`);
    return found;
  }

  /** Before load. */
  setRows(map: string, rows: number): void {
    const result = libbpf().bpf_map__set_max_entries(this.map(map), rows);
    if (result < 0) throw bpfError('bpf/object', `size map ${map}`, result);
  }

  /** Before load: the content of an internal map, e.g. ".rodata". */
  setInitialValue(map: string, value: Uint8Array): void {
    const result = libbpf().bpf_map__set_initial_value(this.map(map), Buffer.from(value), value.length);
    if (result < 0) throw bpfError('bpf/object', `set ${map}`, result);
  }

  skipProgram(name: string): void {
    libbpf().bpf_program__set_autoload(this.program(name), false);
  }

  /** Undefined when loaded; else which program was refused ("" when it was a map or the object), and why. */
  load(): Refusal | undefined {
    takeMessages();
    this.log[0] = 0;
    const result = libbpf().bpf_object__load(this.pointer);
    if (result === 0) return undefined;
    const said = takeMessages();
    const program = failedProgram(said);
    const end = this.log.indexOf(0);
    const log = this.log.toString('utf8', 0, end < 0 ? this.log.length : end).trimEnd();
    return { program, error: loadError(this.name, program, result, said, log) };
  }

  /** Loaded programs only. */
  attach(program: string): Refusal | undefined {
    takeMessages();
    const link = libbpf().bpf_program__attach(this.program(program)) as unknown as Buffer;
    if (isNull(link)) {
      return { program, error: bpfError('bpf/attach', `attach ${program} of ${this.name}`, -loadForeign().errno()) };
    }
    this.links.set(program, link);
    return undefined;
  }

  /** Loaded programs of kind uprobe or uretprobe; to a function of a file, in every process. `at` tells its links apart. */
  attachFunction(
    program: string,
    path: string,
    symbol: string,
    cookie: bigint,
    onReturn: boolean,
    at: number,
  ): Refusal | undefined {
    takeMessages();
    const options = uprobeOptions(symbol, cookie, onReturn);
    const everyProcess = -1;
    const link = libbpf().bpf_program__attach_uprobe_opts(
      this.program(program),
      everyProcess,
      path,
      0,
      options,
    ) as unknown as Buffer;
    if (isNull(link)) {
      const error = bpfError('bpf/attach', `attach ${program} to ${path}:${symbol}`, -loadForeign().errno());
      return { program, error };
    }
    this.links.set(linkName(program, at), link);
    return undefined;
  }

  /** Loaded programs of kind perf_event; to the clock of a CPU, each time that it has advanced by `periodNs`. */
  attachClock(program: string, cpu: number, periodNs: number): Refusal | undefined {
    takeMessages();
    const event = openCpuClock(cpu, periodNs);
    const what = `attach ${program} of ${this.name} to the clock of CPU ${cpu}`;
    if (event < 0) return { program, error: bpfError('bpf/attach', what, event) };
    const link = libbpf().bpf_program__attach_perf_event(this.program(program), event) as unknown as Buffer;
    if (isNull(link)) {
      closeSync(event);
      return { program, error: bpfError('bpf/attach', what, -loadForeign().errno()) };
    }
    this.links.set(linkName(program, cpu), link);
    return undefined;
  }

  mapFd(map: string): number {
    return libbpf().bpf_map__fd(this.map(map));
  }
  programFd(program: string): number {
    return libbpf().bpf_program__fd(this.program(program));
  }
  /** Of all links of a program: the name and the descriptor of each. */
  linkFds(program: string): [name: string, fd: number][] {
    return [...this.links]
      .filter(([name]) => programOfLink(name) === program)
      .map(([name, link]) => [name, libbpf().bpf_link__fd(link)]);
  }
  programInfo(program: string): ProgramInfo {
    return programInfo(this.programFd(program), `program ${program}`);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const link of this.links.values()) {
      // Destroying a connected link of a perf event would switch it off although it is pinned.
      const fd = libbpf().bpf_link__fd(link);
      libbpf().bpf_link__disconnect(link);
      if (fd >= 0) closeSync(fd);
      libbpf().bpf_link__destroy(link);
    }
    closePerfEvents();
    libbpf().bpf_object__close(this.pointer);
  }
}

/** libbpf names the program that failed: "prog 'NAME': …". */
function failedProgram(said: readonly string[]): string {
  for (const line of said) {
    const match = /prog '([^']+)': (?:failed|BPF program load failed|relo|bad|invalid|FAILED)/i.exec(line);
    if (match) return match[1]!;
  }
  return '';
}

/** What libbpf says again of a failure that it has told already, or guesses of its reason. */
const echo = /^(failed to load object|permission error while running as root|prog '[^']*': failed to load: )/;

function loadError(object: string, program: string, result: number, said: readonly string[], log: string): MusterError {
  const errno = errnoName(result);
  const where = program ? `program ${program} of ${object}` : `object ${object}`;
  const cause =
    said
      .map((line) => line.replace(/^libbpf: /, ''))
      .filter((line) => !echo.test(line))
      .join('; ') || errno;
  const gpl = [...log.split('\n'), ...said].find((line) => /GPL[- ](?:restricted|compatible|only)/i.test(line));
  if (gpl !== undefined) {
    return new MusterError('bpf/licence', `load ${where}: it uses what the kernel lends to GPL programs alone`, {
      cause: gpl.replace(/^libbpf: /, '').trim(),
      remedy: 'give it a GPL-compatible licence, if it may have one: char LICENSE[] SEC("license") = "Dual BSD/GPL";',
      ...(log ? { log } : {}),
    });
  }
  const rejected = log.length > 0 && program !== '';
  if (rejected) {
    const last =
      log
        .split('\n')
        .filter((line) => line && !line.startsWith('processed '))
        .at(-1) ?? errno;
    const source = sourceLine(log);
    return new MusterError('bpf/verifier', `load ${where}: the verifier refused it: ${last.trim()}`, {
      cause: source === undefined ? errno : `${errno} at ${source}`,
      log,
    });
  }
  if (errno === 'EPERM' && program !== '') {
    return new MusterError('bpf/attach', `load ${where}: this kernel does not permit its kind of hook`, { cause });
  }
  if (errno === 'EPERM') {
    return new MusterError('bpf/no-privilege', `load ${where}: not permitted`, { cause });
  }
  if (errno === 'ENOMEM' || errno === 'E2BIG') {
    return new MusterError('bpf/memory', `load ${where}: ${errno}`, { cause });
  }
  if (errno === 'ESRCH' || errno === 'ENOENT') {
    return new MusterError('bpf/attach', `load ${where}: this kernel lacks its hook or a type it reads`, { cause });
  }
  return new MusterError('bpf/object', `load ${where}: ${errno}`, { cause });
}

/** The last line of source that the verifier had before it: "; TEXT @ FILE:LINE", or "; TEXT" before Linux 6.9. */
function sourceLine(log: string): string | undefined {
  const line = log
    .split('\n')
    .filter((l) => l.startsWith('; '))
    .at(-1);
  const match = line === undefined ? undefined : /^; (.*?)(?: @ (\S+:\d+))?$/.exec(line);
  if (!match) return undefined;
  const text = `\`${match[1]!.trim()}\``;
  return match[2] === undefined ? text : `${match[2]}: ${text}`;
}
