/**
 * The labels of a table from its key struct in BTF: members in order, without a gap, each of a type that has a text.
 * MUSTER_AS and MUSTER_NAME arrive as declaration tags on members ("muster:as:…", "muster:name:…").
 */
import type { LabelSchema } from '../../shared/contract/lineage.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Btf, BtfMember, BtfType } from './btf.ts';
import { resolve, sizeOf } from './btf.ts';

export const keyWordsMax = 32;

/** Member named so by the author to fill a word; it is no label, and must be zero in every key. */
const padding = /^_*pad\d*$/;
const labelName = /^[a-z][a-z0-9_]*$/;

export const refuseTable = (table: string, what: string, remedy: string): never => {
  throw new MusterError('bpf/contract', `table ${table}: ${what}`, { remedy });
};

/** Words of struct muster_owner, the first in the keys of tables that are declared MUSTER_OWNED. */
export const ownerWords = 2;

/** Whose the struct muster_owner of a key is: a task's, or a socket's (MUSTER_OF_SOCKET), which knows no process. */
export type Owner = 'task' | 'socket';

/** Labels of key type `id`; `words` is its size in 64-bit words, `owner` whose struct muster_owner it begins with. */
export function readKey(
  btf: Btf,
  id: number,
  table: string,
): { labels: LabelSchema[]; words: number; owner: Owner | undefined } {
  const type = resolve(btf, id);
  if (type.kind !== 'struct') {
    return refuseTable(
      table,
      `its key is a ${describe(type)}, not a struct`,
      'make the key a struct of whole 64-bit words',
    );
  }
  if (type.size === 0 || type.size % 8 !== 0) {
    refuseTable(
      table,
      `its key struct ${type.name} has ${type.size} bytes, which is not whole 64-bit words`,
      'fill it up with a member such as `__u32 pad`, set to zero in every key',
    );
  }
  const words = type.size / 8;
  if (words > keyWordsMax) {
    refuseTable(
      table,
      `its key struct ${type.name} has ${words} words; at most ${keyWordsMax} are supported`,
      'use a smaller key',
    );
  }
  const structId = structOf(btf, id);
  const labels: LabelSchema[] = [];
  let owner: Owner | undefined;
  let end = 0;
  type.members.forEach((member, index) => {
    const field = `${type.name}.${member.name || `(member ${index})`}`;
    if (member.bits !== 0 || member.bitOffset % 8 !== 0)
      refuseTable(table, `${field} is a bit-field`, 'use a whole integer');
    const offset = member.bitOffset / 8;
    if (offset !== end) {
      refuseTable(
        table,
        `${end < offset ? `${offset - end} bytes before ${field} belong to no member` : `${field} overlaps another`}`,
        'name every byte of the key: add a member such as `__u32 pad`, set to zero in every key',
      );
    }
    const size = sizeOf(btf, member.type);
    end = offset + size;
    if (padding.test(member.name)) return;
    const of = resolve(btf, member.type);
    if (of.kind === 'struct' && of.name === 'muster_owner' && size === ownerWords * 8) {
      if (offset !== 0) refuseTable(table, `${field} is not the first member`, 'put the owner first in the key');
      owner = tagsOf(btf, structId, index).includes('muster:owner:socket') ? 'socket' : 'task';
      return;
    }
    labels.push(readLabel(btf, member, { offset, size }, tagsOf(btf, structId, index), table, field));
  });
  if (end !== type.size) {
    refuseTable(
      table,
      `the last ${type.size - end} bytes of ${type.name} belong to no member`,
      'name every byte of the key: add a member such as `__u32 pad`, set to zero in every key',
    );
  }
  for (const [i, label] of labels.entries()) {
    const first = labels.findIndex((other) => other.name === label.name);
    if (first !== i) refuseTable(table, `two labels are named ${label.name}`, 'rename one with MUSTER_NAME("…")');
  }
  return { labels, words, owner };
}

function readLabel(
  btf: Btf,
  member: BtfMember,
  place: { offset: number; size: number },
  tags: readonly string[],
  table: string,
  field: string,
): LabelSchema {
  const tagged = (prefix: string): string | undefined => tags.find((t) => t.startsWith(prefix))?.slice(prefix.length);
  const name = tagged('muster:name:') ?? member.name;
  if (!labelName.test(name)) {
    refuseTable(
      table,
      `${field}: "${name}" is no label name (letters a–z, digits, _)`,
      'give it one with MUSTER_NAME("…")',
    );
  }
  const meaning = tagged('muster:as:');
  if (meaning !== undefined && !labelName.test(meaning)) {
    refuseTable(table, `${field}: "${meaning}" is no meaning`, 'use one of the meanings in docs/probes.md');
  }
  const type = resolve(btf, member.type);
  if (type.kind === 'enum') return { name, meaning: meaning ?? 'enum', ...place, names: { ...type.names } };
  if (meaning !== undefined && type.kind !== 'pointer' && type.kind !== 'other') return { name, meaning, ...place };
  if (type.kind === 'int' && [1, 2, 4, 8].includes(type.size)) {
    return { name, meaning: type.signed ? 's64' : 'u64', ...place };
  }
  if (type.kind === 'struct' && type.name === 'muster_comm' && type.size === 16)
    return { name, meaning: 'comm', ...place };
  return refuseTable(
    table,
    `${field} is a ${describe(type)}, which has no text`,
    'use an integer, an enum or struct muster_comm, or say what it means with MUSTER_AS("…")',
  );
}

/** Tags refer to the struct itself, not to a typedef of it. */
function structOf(btf: Btf, id: number): number {
  let type = btf[id];
  while (type?.kind === 'alias') {
    id = type.type;
    type = btf[id];
  }
  return id;
}

export const tagsOf = (btf: Btf, target: number, member: number): string[] =>
  btf.flatMap((t) => (t.kind === 'tag' && t.type === target && t.member === member ? [t.name] : []));

function describe(type: BtfType): string {
  if (type.kind === 'other') return type.what;
  return type.name ? `${type.kind} ${type.name}` : type.kind;
}
