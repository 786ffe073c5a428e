/**
 * Opt-in labels: whose event it was. One mechanism for all probes: tables that are declared MUSTER_OWNED have two words
 * for it at the head of their keys (bpf/task.h), which are zero unless a label that reads them is asked for. Pure.
 */
import type { LabelSchema, TableSchema } from '../../shared/contract/lineage.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import type { ObjectSpec } from '../object/object.ts';

const cgroupPart = 1;
/** By label: the word of the owner that it reads, and its bit in muster_owner_parts. The meaning is the label's name. */
const labels: Readonly<Record<string, { readonly offset: number; readonly part: number }>> = {
  cgroup: { offset: 0, part: cgroupPart },
  container: { offset: 0, part: cgroupPart },
  pod: { offset: 0, part: cgroupPart },
  process: { offset: 8, part: 2 },
  cmdline: { offset: 8, part: 2 },
};
export const ownerLabels: readonly string[] = Object.keys(labels);

/**
 * The tables with the labels asked for, before a histogram's bucket, and the parts that the programs have to fill in.
 * `cgroupV1`: see want.
 */
export function withOwner(
  probe: string,
  { tables, owned }: Pick<ObjectSpec, 'tables' | 'owned'>,
  asked: readonly string[],
  cgroupV1 = 0,
): { tables: TableSchema[]; parts: number } {
  if (asked.length === 0) return { tables: [...tables], parts: 0 };
  const refuse = (what: string, remedy: string): never => {
    throw new MusterError('config/invalid', `--with ${probe}=${asked.join(',')}: ${what}`, { remedy });
  };
  for (const name of asked) {
    if (Object.hasOwn(labels, name)) continue;
    const close = nearest(name, ownerLabels);
    refuse(
      `no opt-in label is named ${name}`,
      close ? `did you mean ${close}?` : `there are ${ownerLabels.join(', ')}`,
    );
  }
  if (owned.size === 0)
    refuse('its tables have no place for it', 'declare a table MUSTER_OWNED: docs/probes.md says how');
  const ofSocket = [...owned].find(([, owner]) => owner === 'socket')?.[0];
  if (ofSocket !== undefined) {
    const unknown = asked.filter((name) => labels[name]!.part !== cgroupPart);
    const sockets = `the events of table ${ofSocket} are of sockets, which know`;
    if (unknown.length > 0)
      refuse(`${sockets} no ${unknown.join(' and no ')}`, 'leave it out; there are cgroup, container, pod');
    if (cgroupV1 !== 0) refuse(`${sockets} cgroups of version 2 alone; this host has none`, 'leave the labels out');
  }
  const added = ownerLabels
    .filter((name) => asked.includes(name))
    .map((name): LabelSchema => ({ name, meaning: name, offset: labels[name]!.offset, size: 8 }));
  const extended = tables.map((table) => {
    if (!owned.has(table.name)) return table;
    const taken = added.find(({ name }) => table.labels.some((l) => l.name === name));
    if (taken) refuse(`table ${table.name} has a label of this name`, 'leave it out, or rename the key’s member');
    const bucket = table.labels.filter((l) => l.meaning === 'bucket');
    return { ...table, labels: [...table.labels.filter((l) => l.meaning !== 'bucket'), ...added, ...bucket] };
  });
  return { tables: extended, parts: asked.reduce((bits, name) => bits | labels[name]!.part, 0) };
}

/** "PROBE=LABEL,LABEL" words, as given with --with, by probe. */
export function parseWith(values: readonly string[]): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const value of values) {
    const match = /^([a-z][a-z0-9_]*)=([a-z]+(?:,[a-z]+)*)$/.exec(value);
    if (!match) {
      throw new MusterError('config/invalid', `--with ${value}: expected PROBE=LABEL,LABEL`, {
        remedy: `for example --with syscalls=cgroup; labels: ${ownerLabels.join(', ')}`,
      });
    }
    found.set(match[1]!, [...new Set([...(found.get(match[1]!) ?? []), ...match[2]!.split(',')])]);
  }
  return found;
}
