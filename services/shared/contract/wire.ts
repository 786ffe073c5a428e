/**
 * The versions of a batch, all that tells them apart, in one place. `wire_version` decides how the column block of a
 * message is read and which kinds of table may occur in it. Every version keeps: wire_version as field 1, the checksum
 * as the last field, host and lineage. So a reader of any version knows a message of another for what it is.
 *
 *   version | column block  | kinds of tables
 *   1       | columns.ts    | counter, histogram: rows joined by maximum, added over generations and hosts
 *   2       | columns.ts    | every kind of lineage.ts, each with its own join: a reader of version 1 would add them
 *
 * To add a version: a line here, `wireNewest`, golden messages (test/golden/write.ts). To end one: raise `wireOldest`.
 */
import { decodeColumns, encodeColumns } from './columns.ts';
import { tableKinds, type TableKind, type TableSchema } from './lineage.ts';

/** Oldest and newest version that is read. Agents write the newest unless told otherwise. */
export const wireOldest = 1;
export const wireNewest = 2;

export interface WireFormat {
  readonly kinds: readonly TableKind[];
  readonly encodeColumns: typeof encodeColumns;
  readonly decodeColumns: typeof decodeColumns;
}

const formats: Readonly<Record<number, WireFormat>> = {
  1: { kinds: ['counter', 'histogram'], encodeColumns, decodeColumns },
  2: { kinds: tableKinds, encodeColumns, decodeColumns },
};

/** All versions that are read, oldest first. */
export const wireVersions: readonly number[] = Object.keys(formats).map(Number);

/** Undefined for a version that is not read. */
export const wireFormat = (version: number): WireFormat | undefined => formats[version];

/** Tables that a message of this version cannot carry; empty when it carries all. */
export const uncarried = (tables: readonly TableSchema[], format: WireFormat): TableSchema[] =>
  tables.filter((t) => !format.kinds.includes(t.kind));
