/** What a watch shows: the rows held after each update, in order, and frames that replace one another on a terminal. */
import type { QueryResponse, QueryRow, WatchResponse } from '../../shared/contract/query.ts';

export class Held {
  readonly #rows = new Map<string, QueryRow>();

  /** `orderBy` as the request says it. */
  constructor(readonly orderBy: string) {}

  /** The whole answer after an update. */
  take(update: WatchResponse): QueryResponse {
    if (update.whole) this.#rows.clear();
    for (const { labels } of update.removed) this.#rows.delete(keyOf(labels));
    for (const row of update.rows) this.#rows.set(keyOf(row.labels), row);
    const seconds = update.coverage?.seconds ?? 0;
    const rows = [...this.#rows.values()].map((row) => ({
      ...row,
      ratePerSecond: seconds > 0 ? Number(row.value) / seconds : 0,
    }));
    return { ...update, rows: sorted(rows, this.orderBy), nextPageToken: '' };
  }
}

const keyOf = (labels: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(labels).sort());

/** As the service orders rows: by a number, largest first, or by a label; ties by the labels. */
function sorted(rows: QueryRow[], orderBy: string): QueryRow[] {
  const [by = 'value', direction] = orderBy.trim().split(/\s+/).filter(Boolean);
  const numeric = by === 'value' || by === 'rate' || by === 'hosts';
  const sign = (direction?.toLowerCase() ?? (numeric ? 'desc' : 'asc')) === 'desc' ? -1 : 1;
  const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  const compare = (a: QueryRow, b: QueryRow): number => {
    if (by === 'hosts') return a.hosts - b.hosts;
    if (!numeric) return text(a.labels[by] ?? '', b.labels[by] ?? '');
    const [x, y] = [BigInt(a.value), BigInt(b.value)];
    return x < y ? -1 : x > y ? 1 : 0;
  };
  return rows.sort((a, b) => sign * compare(a, b) || text(keyOf(a.labels), keyOf(b.labels)));
}

/** Cut to the terminal, so that one line is one row of it; escapes of colour take no room. */
function fit(line: string, width: number): string {
  const parts = line.split(/(\u001b\[\d+m)/);
  let room = width;
  return parts
    .map((part) => {
      if (part.startsWith('\u001b')) return part;
      const shown = [...part].slice(0, room);
      room -= shown.length;
      return shown.join('');
    })
    .join('');
}

/** The bytes that replace a frame of `before` lines by this text, and its number of lines. */
export function frame(text: string, before: number, width: number, height: number): { bytes: string; lines: number } {
  const lines = text
    .replace(/\n$/, '')
    .split('\n')
    .slice(0, Math.max(1, height - 1))
    .map((line) => fit(line, width));
  const up = before > 0 ? `\u001b[${before}A\r` : '';
  return { bytes: `${up}${lines.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`, lines: lines.length };
}
