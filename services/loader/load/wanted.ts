/**
 * What shall run on this host: an object's specification with this host's sizes and constants put in. Pure.
 * Row numbers, cells and hints are laid out by these numbers alike in the kernel and in the agent.
 */
import { controlWords, encodeControl } from '../../shared/contract/control.ts';
import type { TableSchema } from '../../shared/contract/lineage.ts';
import { schemaHash } from '../../shared/contract/lineage.ts';
import { hintsFor, mapName, pinnedMaps, rowsLeast, rowsMax, slotParts } from '../../shared/contract/table-maps.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import type { ObjectSpec, ProgramSpec } from '../object/object.ts';
import { billBytes } from './bill.ts';
import { defaultHz, withClock } from './clock.ts';
import { withFunctions, type FunctionTarget } from './functions.ts';
import { withOwner } from './owner.ts';

/** The cgroup v2 subtree that is counted. */
export interface Scope {
  /** Path below the cgroup v2 mount, "/a/b"; "" is the whole host, and then id and level are 0. */
  readonly path: string;
  /** Inode number of its directory, which is the kernel's id of the cgroup. */
  readonly id: bigint;
  /** Depth below the mount: "/a/b" is 2. */
  readonly level: number;
}

export interface Wanted {
  readonly probe: string;
  readonly cpus: number;
  readonly scope: Scope;
  readonly programs: readonly ProgramSpec[];
  readonly tables: readonly TableSchema[];
  /** 16 hex digits. */
  readonly schemaHash: string;
  /** The object's own rows of the tables that were sized down, by table. */
  readonly declaredRows: Readonly<Record<string, number>>;
  /** Content of .rodata. */
  readonly constants: Uint8Array;
  /** First content of the control map: generation 1, slot 0. */
  readonly control: Uint8Array;
  /** Its maps that are no table's and are pinned: name of the pin by name of the map. */
  readonly pinned: ReadonlyMap<string, string>;
  /** Map name and its size. */
  readonly mapRows: ReadonlyMap<string, number>;
  readonly billBytes: number;
}

const u32Max = 0xffffffff;

/** `rows` overrides a table's rows by name; names of other probes' tables may stand in it. `shrunk`: not by hand. */
export function want(
  probe: string,
  spec: ObjectSpec,
  cpus: number,
  scope: Scope,
  rows: ReadonlyMap<string, number>,
  {
    shrunk = [],
    labels = [],
    cgroupV1 = 0,
    functions = [],
    profileHz = defaultHz,
  }: {
    readonly shrunk?: readonly { readonly table: string; readonly declared: number }[];
    /** Opt-in labels. */
    readonly labels?: readonly string[];
    /** 1 + the number of the controller whose v1 hierarchy names cgroups; 0: cgroup v2. */
    readonly cgroupV1?: number;
    /** Functions to attach to, of an object that leaves them open. */
    readonly functions?: readonly FunctionTarget[];
    /** Runs a second and CPU of programs of the clock. */
    readonly profileHz?: number;
  } = {},
): Wanted {
  const owner = withOwner(probe, spec, labels, cgroupV1);
  const attached = withFunctions(probe, spec.programs, owner.tables, functions);
  const tables = attached.tables.map((table) => {
    const count = rows.get(table.name) ?? table.rows;
    if (!Number.isInteger(count) || count < 1 || count > rowsMax) {
      throw new MusterError('config/invalid', `--rows ${table.name}=${count}: a table has 1 to ${rowsMax} rows`);
    }
    const least = rowsLeast(table);
    if (count < least || (table.kind === 'filter' && count !== least)) {
      throw new MusterError(
        'config/invalid',
        `--rows ${table.name}=${count}: a ${table.kind} has ${table.kind === 'filter' ? `the ${least} rows of its object` : `at least ${least} rows`}`,
      );
    }
    return { ...table, rows: count, hints: hintsFor(count) };
  });
  const mapRows = new Map<string, number>();
  // A copy for certain: slice() of a Buffer is a view.
  const constants = new Uint8Array(spec.constants.bytes);
  const view = new DataView(constants.buffer);
  const at = (name: string): number => spec.constants.variables.get(name)!.offset;
  view.setUint32(at('muster_cpus'), cpus, true);
  view.setBigUint64(at('muster_scope_id'), scope.id, true);
  view.setUint32(at('muster_scope_level'), scope.level, true);
  view.setUint32(at('muster_owner_parts'), owner.parts, true);
  view.setUint32(at('muster_cgroup_v1'), cgroupV1, true);
  for (const [number, table] of tables.entries()) {
    view.setUint32(at(`${table.name}_rows`), table.rows, true);
    view.setUint32(at(`${table.name}_at`), number, true);
    view.setUint32(at(`${table.name}_hint_mask`), table.hints - 1, true);
    const sizes = {
      ids: table.rows,
      hints: cpus * table.hints,
      keys: table.rows + 1,
      cells: cpus * (table.rows + 1),
      ledger: cpus,
    };
    for (const part of slotParts) {
      if (sizes[part] > u32Max) {
        throw new MusterError('bpf/memory', `table ${table.name}: its ${part} would need ${sizes[part]} elements`, {
          values: { cpus },
        });
      }
      for (const slot of [0, 1] as const) mapRows.set(mapName(table.name, part, slot), sizes[part]);
    }
  }
  return {
    probe,
    cpus,
    scope,
    programs: withClock(attached.programs, profileHz),
    tables,
    schemaHash: schemaHash(tables).toString(16).padStart(16, '0'),
    declaredRows: Object.fromEntries(shrunk.map((s) => [s.table, s.declared])),
    constants,
    control: firstControl(),
    mapRows,
    pinned: new Map([...pinnedMaps].filter(([map]) => spec.otherMaps.some((m) => m.name === map))),
    billBytes: billBytes(tables, cpus, spec.otherMaps),
  };
}

function firstControl(): Uint8Array {
  const bytes = new Uint8Array(controlWords * 8);
  new DataView(bytes.buffer).setBigUint64(0, encodeControl({ slot: 0, state: 'counting', generation: 1n }), true);
  return bytes;
}

/** Refuses a --rows that names a table no probe has. */
export function checkRowNames(rows: ReadonlyMap<string, number>, specs: readonly ObjectSpec[]): void {
  const names = specs.flatMap((spec) => spec.tables.map((t) => t.name));
  for (const name of rows.keys()) {
    if (names.includes(name)) continue;
    const close = nearest(name, names);
    throw new MusterError('config/invalid', `--rows ${name}: no probe has a table of this name`, {
      remedy: close ? `did you mean ${close}?` : `tables: ${names.join(', ')}`,
    });
  }
}

/** "TABLE=N", as given with --rows. */
export function parseRows(values: readonly string[]): Map<string, number> {
  return new Map(
    values.map((value) => {
      const match = /^([a-z][a-z0-9_]*)=(\d{1,10})$/.exec(value);
      if (!match) throw new MusterError('config/invalid', `--rows ${value}: expected TABLE=N`);
      return [match[1]!, Number(match[2])] as const;
    }),
  );
}
