/** Which probe attached on which kernel, or why not: as Markdown, printed and kept in docs/kernels.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host, HostProbe } from '../../services/shared/contract/query.ts';
import { root } from '../integration/instance.ts';

const page = join(root, 'docs/kernels.md');
const begin = '<!-- table: written by npm run test:kernels -->';
const end = '<!-- end of table -->';

/** They count only what they are told to, and here nothing tells them. */
const told = ['functions'];

export interface Column {
  readonly title: string;
  readonly host: Host;
}

/** Rows by probe, but for those that have to be told what to count; what is missing has a footnote. */
export function probeTable(columns: readonly Column[], probes: readonly string[]): string {
  const notes: string[] = [];
  const named = probes.filter((name) => !told.includes(name)).sort();
  const rows = named.map((name) => [
    `\`${name}\``,
    ...columns.map(({ host }) =>
      cell(
        host.probes.find((p) => p.probe === name && ['live', 'missing'].includes(p.state)),
        notes,
      ),
    ),
  ]);
  const head = ['probe', ...columns.map((c) => c.title)];
  const all = [head, head.map(() => ''), ...rows];
  const widths = head.map((_, i) => Math.max(3, ...all.map((row) => row[i]!.length)));
  const lines = all.map((row, r) =>
    r === 1
      ? `| ${widths.map((w) => '-'.repeat(w)).join(' | ')} |`
      : `| ${row.map((text, i) => text.padEnd(widths[i]!)).join(' | ')} |`,
  );
  return [...lines, '', ...notes.map((note, i) => `${i + 1}. ${note}`)].join('\n');
}

function cell(probe: HostProbe | undefined, notes: string[]): string {
  if (!probe) return 'not told';
  const note = (reason: string): string => {
    if (!notes.includes(reason)) notes.push(reason);
    return String(notes.indexOf(reason) + 1);
  };
  if (probe.state === 'missing') return `missing (${note(probe.reason)})`;
  const missing = probe.programs.filter((p) => p.state === 'missing');
  return missing.length === 0
    ? 'attached'
    : `attached, without ${missing.map((p) => `\`${p.hook}\` (${note(p.reason)})`).join(', ')}`;
}

/** Puts the table into its place on the page; nothing changes where nothing is new. */
export function keepTable(table: string): void {
  const text = readFileSync(page, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page}: no place for the table`);
  const next = `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`;
  if (next !== text) writeFileSync(page, next);
}
