/** Puts a benchmark's figures into a page of docs/, between two marks, so that a page never quotes what was not measured. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { format } from 'prettier';
import { checkout } from '../kernel/probe.ts';
import { short, type Figure } from './figure.ts';

/** A table of figures that have a peer. */
export function peerTable(figures: readonly Figure[]): string {
  const cell = (n: number | undefined, unit: string): string => (n === undefined ? '' : `${short(n)} ${unit}`);
  const rows = figures.map((f) => {
    const ratio = f.peer === undefined ? '' : short(f.ours / f.peer);
    const most = f.most === undefined ? '' : String(f.most);
    const columns = [f.figure, cell(f.ours, f.unit), cell(f.min, f.unit), f.peerName ?? ''];
    return [...columns, cell(f.peer, f.unit), cell(f.peerMin, f.unit), ratio, most];
  });
  const head = ['figure', 'ours', 'least', 'beside', 'theirs', 'least', 'ratio', 'at most'];
  return [head, head.map(() => '---'), ...rows].map((columns) => `| ${columns.join(' | ')} |`).join('\n');
}

/** A table of figures that have an aim. */
export function aimTable(figures: readonly Figure[]): string {
  const rows = figures.map((f) => {
    const aim = f.aim === undefined ? '' : `≤ ${f.aim}`;
    const beside = f.peer === undefined ? '' : `${f.peerName}: ${short(f.peer)}`;
    return [f.figure, short(f.ours), f.unit, aim, beside];
  });
  const head = ['figure', 'measured', 'unit', 'aim', 'beside'];
  return [head, head.map(() => '---'), ...rows].map((columns) => `| ${columns.join(' | ')} |`).join('\n');
}

export const conditions = (): string =>
  `Linux ${release()}, Node ${process.version}, ${cpus().length} CPUs (${cpus()[0]?.model ?? 'unknown'}).`;

/** Replaces the section of this benchmark, or adds it at the end; `title` begins a page that is not there yet. */
export async function writeSection(page: string, title: string, bench: string, body: string): Promise<void> {
  const path = join(checkout, page);
  const [begin, end] = [`<!-- written by npm run bench -- ${bench} --write -->`, `<!-- end of ${bench} -->`];
  const text = existsSync(path) ? readFileSync(path, 'utf8') : `# ${title}\n`;
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  const section = `${begin}\n\n${body}\n\n${end}`;
  const whole =
    from >= 0 && to > from ? text.slice(0, from) + section + text.slice(to + end.length) : `${text}\n${section}\n`;
  writeFileSync(path, await format(whole, { parser: 'markdown', printWidth: 120, proseWrap: 'preserve' }));
}
