/**
 * Labels whose values the running kernel names, by meaning: an object cannot know them, since each kernel numbers them
 * anew. Where the kernel has no such enum they stay numbers. Pure.
 */
import type { TableSchema } from '../../shared/contract/lineage.ts';

/** The kernel's enum for a meaning, and what its names begin with, which callers need not read each time. */
const enums: Readonly<Record<string, { readonly name: string; readonly prefix: string }>> = {
  drop_reason: { name: 'skb_drop_reason', prefix: 'SKB_DROP_REASON_' },
};

/** The meanings that this file gives names to. */
export const kernelNamed: readonly string[] = Object.keys(enums);

export function withKernelNames(
  tables: readonly TableSchema[],
  enumNames: (name: string) => Readonly<Record<string, string>> | undefined,
): TableSchema[] {
  return tables.map((table) => ({
    ...table,
    labels: table.labels.map((label) => {
      const known = enums[label.meaning];
      if (!known) return label;
      const names = Object.entries(enumNames(known.name) ?? {});
      return {
        ...label,
        names: Object.fromEntries(names.map(([value, name]) => [value, shorten(name, known.prefix)])),
      };
    }),
  }));
}

const shorten = (name: string, prefix: string): string => (name.startsWith(prefix) ? name.slice(prefix.length) : name);
