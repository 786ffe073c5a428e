/**
 * What a probe's object file says of itself, before any kernel has seen it: programs with their hooks, tables, the
 * constants the loader sets, the control map. Pure and deterministic: bytes in, specification out, or MusterError
 * bpf/object (not a readable object) or bpf/contract (not a probe), with what to change.
 */
import { controlWords } from '../../shared/contract/control.ts';
import type { TableSchema } from '../../shared/contract/lineage.ts';
import { constantsMap, controlMap } from '../../shared/contract/table-maps.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { readBtf } from './btf.ts';
import { readElf } from './elf.ts';
import { ownerWords, refuseTable, type Owner } from './key.ts';
import type { Elf } from './elf.ts';
import type { MapShape } from './maps.ts';
import { readOtherMaps, readTables } from './tables.ts';

export interface ProgramSpec {
  readonly name: string;
  /** Section without the optional mark, e.g. "tp_btf/sys_enter". */
  readonly hook: string;
  /** SEC("?…"): the probe counts without it where a kernel lacks its hook. */
  readonly optional: boolean;
  /** The functions that it is attached to, where the object names none (load/functions.ts). */
  readonly targets?: readonly {
    readonly path: string;
    readonly symbol: string;
    /** What the program is told, to tell them apart. */
    readonly cookie: bigint;
  }[];
  /** Of a program that a CPU's clock runs: time between two runs (load/clock.ts). */
  readonly periodNs?: number;
}

export interface Variable {
  readonly offset: number;
  readonly size: number;
}

export interface ObjectSpec {
  readonly programs: readonly ProgramSpec[];
  /** With the object's own rows. */
  readonly tables: readonly TableSchema[];
  /** Tables whose keys begin with the event's owner, for opt-in labels, and whose it is. */
  readonly owned: ReadonlyMap<string, Owner>;
  /** Maps that are no table's, the object's data sections included. */
  readonly otherMaps: readonly MapShape[];
  /** Section .rodata as compiled, and where its variables lie. */
  readonly constants: { readonly bytes: Uint8Array; readonly variables: ReadonlyMap<string, Variable> };
}

const programsMax = 64;
/** BPF_F_MMAPABLE. */
const mappable = 1 << 10;

export function readObject(bytes: Uint8Array): ObjectSpec {
  const elf = readElf(bytes);
  const types = elf.sections.find((s) => s.name === '.BTF');
  if (!types) throw new MusterError('bpf/object', 'read object: it has no BTF', { remedy: 'compile it with clang -g' });
  const btf = readBtf(types.bytes);
  const { tables, owned } = readTables(btf);
  const programs = readPrograms(elf);
  const constants = readConstants(elf);
  for (const [name, size] of expectedConstants(tables)) {
    const found = constants.variables.get(name);
    if (found?.size !== size) {
      throw new MusterError(
        'bpf/contract',
        `read object: its constant ${name} is ${found ? `${found.size} bytes, not ${size}` : 'missing'}`,
        {
          remedy: 'include the "muster.bpf.h" of this version',
        },
      );
    }
  }
  for (const { name } of tables) checkOwner(name, owned.has(name), constants);
  checkControl(elf);
  return { programs, tables, owned, otherMaps: [...readOtherMaps(btf, tables), ...dataMaps(elf)], constants };
}

/** Constants that every probe has: name and size in bytes. */
export function expectedConstants(tables: readonly TableSchema[]): [string, number][] {
  return [
    ['muster_cpus', 4],
    ['muster_scope_id', 8],
    ['muster_scope_level', 4],
    ['muster_owner_parts', 4],
    ['muster_cgroup_v1', 4],
    ...tables.flatMap((t): [string, number][] => [
      [`${t.name}_rows`, 4],
      [`${t.name}_hint_mask`, 4],
      [`${t.name}_owned`, 4],
      [`${t.name}_at`, 4],
    ]),
  ];
}

/** The key's words and the table's declaration must agree in which of them are the owner's. */
function checkOwner(table: string, owned: boolean, { bytes, variables }: ObjectSpec['constants']): void {
  const { offset } = variables.get(`${table}_owned`)!;
  const declared = new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);
  if (declared === (owned ? ownerWords : 0)) return;
  refuseTable(
    table,
    owned
      ? 'its key begins with an owner, and it is not declared so'
      : 'it is declared MUSTER_OWNED, and its key has no owner',
    owned ? 'put MUSTER_OWNED last into its declaration' : 'begin the key with `struct muster_owner owner;`',
  );
}

function readPrograms(elf: Elf): ProgramSpec[] {
  const programs: ProgramSpec[] = [];
  for (const symbol of elf.symbols) {
    const section = elf.sections[symbol.section];
    if (symbol.kind !== 'function' || !section?.executable || section.name === '.text') continue;
    const hook = section.name.replace(/^\?/, '');
    if (/\.s(\/|$)/.test(hook)) {
      throw new MusterError('bpf/contract', `read object: program ${symbol.name} may sleep (${hook})`, {
        remedy: 'use the hook without ".s": no grace period covers programs that sleep',
      });
    }
    programs.push({ name: symbol.name, hook, optional: hook !== section.name });
  }
  if (programs.length === 0) {
    throw new MusterError('bpf/contract', 'read object: it has no program', {
      remedy: 'give a function a SEC("…") with its hook',
    });
  }
  if (programs.length > programsMax) {
    throw new MusterError(
      'bpf/contract',
      `read object: ${programs.length} programs, at most ${programsMax} are supported`,
      {
        remedy: 'split the probe into several objects',
      },
    );
  }
  return programs;
}

/** Each data section becomes an array map of one value that can be mapped. */
const dataMaps = (elf: Elf): MapShape[] =>
  elf.sections
    .filter((s) => /^\.(rodata|data|bss)(\.|$)/.test(s.name))
    .map((s) => ({ name: s.name, type: 2, keyBytes: 4, valueBytes: s.size, count: 1, flags: mappable }));

function readConstants(elf: Elf): ObjectSpec['constants'] {
  const index = elf.sections.findIndex((s) => s.name === constantsMap);
  const bytes = elf.sections[index]?.bytes ?? new Uint8Array();
  const variables = new Map<string, Variable>();
  for (const { name, section, kind, offset, size } of elf.symbols) {
    if (section === index && kind === 'object' && offset + size <= bytes.length) variables.set(name, { offset, size });
  }
  return { bytes, variables };
}

function checkControl(elf: Elf): void {
  const section = elf.sections.find((s) => s.name === controlMap);
  if (section?.bytes.length !== controlWords * 8) {
    throw new MusterError(
      'bpf/contract',
      `read object: section ${controlMap} has ${section?.bytes.length ?? 0} bytes, not ${controlWords * 8}`,
      {
        remedy: 'include the "muster.bpf.h" of this version, and put nothing else into that section',
      },
    );
  }
}
