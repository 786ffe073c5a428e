/** Order of rows: "value desc", "comm", "hosts asc", … Ties go by labels, so that pages and repeats agree. */
import { nearest } from '../../shared/runtime/settings.ts';
import { reject } from './rejection.ts';
import type { Grouped } from './grouped.ts';
import { sorted } from './sorted.ts';
import { int64Max } from './sums.ts';

/** Fields that are numbers of a row; the rest are labels of the grouping. */
const numeric = ['value', 'rate', 'hosts'] as const;

export interface Order {
  readonly by: string;
  readonly descending: boolean;
}

/** Parses order_by, or rejects it with what is possible. */
export function parseOrder(text: string, groupBy: readonly string[], more: readonly string[] = []): Order {
  const known = [...numeric, ...more, ...groupBy];
  const match = /^\s*(\S+)(?:\s+(asc|desc))?\s*$/i.exec(text || 'value desc');
  const bad = (problem: string, fix: string): never => reject({ kind: 'bad-field', field: 'order_by', problem, fix });
  if (!match) return bad(`${JSON.stringify(text)} is not a name, then asc or desc`, 'write e.g. "value desc"');
  const by = match[1]!;
  if (!known.includes(by)) {
    const near = nearest(by, known);
    return bad(
      `${JSON.stringify(by)} is nothing to order by`,
      near ? `did you mean "${near}"?` : `it is one of ${known.join(', ')}`,
    );
  }
  const descending = match[2]
    ? match[2].toLowerCase() === 'desc'
    : !groupBy.includes(by) || numeric.includes(by as 'value');
  return { by, descending };
}

/** Groups that hold anything, in order. */
export function* rank(grouped: Grouped, groupBy: readonly string[], order: Order): Generator<void, number[]> {
  const { totals, sums, groups, hostCounts } = grouped;
  const kept: number[] = [];
  for (let g = 0; g < groups.labels.length; g++) if (!totals.isZero(g)) kept.push(g);
  const at = numeric.includes(order.by as 'value') || order.by === 'sum' ? -1 : groupBy.indexOf(order.by);
  const byText = (a: number, b: number): number => {
    const [x, y] = [groups.texts(a), groups.texts(b)];
    for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i]! < y[i]! ? -1 : 1;
    return a - b;
  };
  const texts =
    at < 0
      ? undefined
      : kept.reduce((m, g) => m.set(g, groups.dictionary.text(groups.labels[g]![at]!)), new Map<number, string>());
  const compare = (a: number, b: number): number => {
    if (texts) {
      const [x, y] = [texts.get(a)!, texts.get(b)!];
      return x < y ? -1 : x > y ? 1 : 0;
    }
    if (order.by === 'hosts') return hostCounts[a]! - hostCounts[b]!;
    return order.by === 'sum' ? sums.compare(a, b) : totals.compare(a, b);
  };
  const sign = order.descending ? -1 : 1;
  return yield* sorted(kept, (a, b) => sign * compare(a, b) || byText(a, b));
}

/** Notes about figures that do not fit int64. */
export function saturated(grouped: Grouped, ranked: readonly number[], total: bigint): string[] {
  const above = ranked.filter((g) => grouped.totals.near(g) >= 2 ** 62 && grouped.totals.at(g) > int64Max).length;
  if (above === 0 && total <= int64Max) return [];
  return [`${above} values and a total of ${total} do not fit int64: what is above is shown as ${int64Max}`];
}
