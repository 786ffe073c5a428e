/**
 * The tables that an object declares, from BTF alone: its maps by name, their layouts, and the tag on <table>_keys_0.
 * Contract: bpf/muster.bpf.h. A table that breaks it is refused with the member and the remedy.
 */
import { tablesMax } from '../../shared/contract/control.ts';
import { innerLabels, tableKinds } from '../../shared/contract/lineage.ts';
import type { LabelSchema, TableKind, TableSchema } from '../../shared/contract/lineage.ts';
import { bySecond } from '../../shared/contract/seconds.ts';
import { hintsFor, mapName, rowsMax, slotParts } from '../../shared/contract/table-maps.ts';
import type { SlotPart } from '../../shared/contract/table-maps.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Btf } from './btf.ts';
import { resolve, sizeOf } from './btf.ts';
import { readKey, refuseTable, tagsOf, type Owner } from './key.ts';
import type { MapDeclaration, MapShape } from './maps.ts';
import { numberOf, readMaps, shapeOf } from './maps.ts';

const tableName = /^[a-z][a-z0-9_]*$/;
const keysName = /^(.+)_keys_0$/;
const valuesOf: Readonly<Record<TableKind, number>> = { counter: 1, histogram: 2, distinct: 1, heavy: 1, filter: 2 };
const wordBytes = 8;
/** What declares a kind, and the member that its key must end in. */
const macros: Readonly<Record<TableKind, readonly [macro: string, member?: string]>> = {
  counter: ['MUSTER_COUNTER'],
  histogram: ['MUSTER_HISTOGRAM', 'MUSTER_BUCKET'],
  distinct: ['MUSTER_DISTINCT', 'MUSTER_REGISTER'],
  heavy: ['MUSTER_HEAVY', 'MUSTER_CELL'],
  filter: ['MUSTER_FIRST_SEEN'],
};
const kindOf = (text: string | undefined): TableKind | undefined => tableKinds.find((kind) => kind === text);
const ledgerBytes = 128;
const markBytes = 8;

/** What is no table's: maps of the probe's own, which cost memory too. */
export function readOtherMaps(btf: Btf, tables: readonly TableSchema[]): MapShape[] {
  const ours = new Set(
    tables.flatMap((t) => slotParts.flatMap((part) => [mapName(t.name, part, 0), mapName(t.name, part, 1)])),
  );
  return [...readMaps(btf)].filter(([name]) => !ours.has(name)).map(([name, map]) => shapeOf(btf, name, map));
}

export interface DeclaredTables {
  /** In the order of declaration, with default rows. */
  readonly tables: readonly TableSchema[];
  /** Of those whose keys begin with an owner, by name, whose it is. */
  readonly owned: ReadonlyMap<string, Owner>;
}

/** Every table of the object. */
export function readTables(btf: Btf): DeclaredTables {
  const maps = readMaps(btf);
  const tables: TableSchema[] = [];
  const owned = new Map<string, Owner>();
  for (const [name, map] of maps) {
    const table = keysName.exec(name)?.[1];
    const tag = table !== undefined && tagsOf(btf, map.variable, -1).find((t) => t.startsWith('muster:'));
    if (table === undefined || !tag) continue;
    const { schema, owner } = readTable(btf, maps, table, tag);
    tables.push(schema);
    if (owner) owned.set(table, owner);
  }
  if (tables.length === 0) throw new MusterError('bpf/contract', 'read object: it declares no table');
  if (tables.length > tablesMax) {
    throw new MusterError(
      'bpf/contract',
      `read object: it declares ${tables.length} tables, at most ${tablesMax} fit`,
      {
        remedy: 'split the probe into several objects',
      },
    );
  }
  return { tables, owned };
}

function readTable(
  btf: Btf,
  maps: ReadonlyMap<string, MapDeclaration>,
  name: string,
  tag: string,
): { schema: TableSchema; owner: Owner | undefined } {
  const [, kindText, unit, ...help] = tag.split(':');
  const kind = kindOf(kindText);
  if (!tableName.test(name)) refuseTable(name, 'is no table name (letters a–z, digits, _)', 'rename it');
  if (kind === undefined) {
    return refuseTable(
      name,
      `its kind "${kindText ?? ''}" is unknown`,
      'declare it with a macro of this version’s muster.bpf.h',
    );
  }
  const [macro] = macros[kind];
  if (!unit) return refuseTable(name, 'it has no unit', 'name the unit of its values, e.g. "calls", "ns", "bytes"');
  for (const slot of [0, 1] as const) {
    for (const part of slotParts) {
      if (!maps.has(mapName(name, part, slot))) {
        refuseTable(name, `map ${mapName(name, part, slot)} is missing`, `declare it with ${macro}`);
      }
    }
  }
  const typeOf = (part: SlotPart, slot: 0 | 1, member: string): number => {
    const pointer = maps.get(mapName(name, part, slot))!.members.get(member);
    const type = pointer === undefined ? undefined : resolve(btf, pointer);
    if (type?.kind === 'pointer') return type.type;
    return refuseTable(name, `map ${mapName(name, part, slot)} has no ${member}`, `declare it with ${macro}`);
  };
  const sizes = (slot: 0 | 1): number[] => [
    sizeOf(btf, typeOf('ids', slot, 'key')),
    sizeOf(btf, typeOf('keys', slot, 'value')) - markBytes,
    sizeOf(btf, typeOf('cells', slot, 'value')),
    sizeOf(btf, typeOf('ledger', slot, 'value')),
  ];
  const { labels, words, owner } = readKey(btf, typeOf('ids', 0, 'key'), name);
  const kept = sizeOf(btf, typeOf('cells', 0, 'value')) / wordBytes;
  const valueCount = bySecond({ kind, valueCount: kept }) ? kept : valuesOf[kind];
  const expected = [words * wordBytes, words * wordBytes, valueCount * wordBytes, ledgerBytes];
  for (const slot of [0, 1] as const) {
    if (sizes(slot).join() !== expected.join()) {
      refuseTable(
        name,
        `the maps of slot ${slot} hold ${sizes(slot).join(', ')} bytes (key, marked key, cell, ledger), not ${expected.join(', ')}`,
        `declare it with ${macro} of this version`,
      );
    }
  }
  checkInner(name, kind, labels, words);
  const rows = numberOf(btf, maps.get(mapName(name, 'keys', 0))!, 'max_entries') - 1;
  if (rows < 1 || rows > rowsMax) refuseTable(name, `it declares ${rows} rows`, `declare 1 to ${rowsMax} rows`);
  const schema: TableSchema = {
    name,
    kind,
    unit,
    help: help.join(':'),
    rows,
    hints: hintsFor(rows),
    keyWords: words,
    valueCount,
    labels,
  };
  return { schema, owner };
}

/** A kind's inner label ends its key, as one word; a key has no inner label of another kind. */
function checkInner(table: string, kind: TableKind, labels: readonly LabelSchema[], words: number): void {
  const inner = innerLabels[kind];
  const [macro, member] = macros[kind];
  const at = labels.findIndex((l) => l.meaning === inner);
  const last = labels.at(-1);
  if (inner !== undefined && !(at === labels.length - 1 && last?.size === 8 && last.offset === words * 8 - 8)) {
    refuseTable(
      table,
      `the key of a ${kind} ends in its ${inner}, one 64-bit word`,
      member === undefined ? `declare it with ${macro}` : `put ${member} last in the key struct`,
    );
  }
  for (const [other, meaning] of Object.entries(innerLabels)) {
    if (other !== kind && labels.some((l) => l.meaning === meaning))
      refuseTable(table, `a ${kind}’s key has no ${meaning}`, `declare it with ${macros[other as TableKind][0]}`);
  }
}
