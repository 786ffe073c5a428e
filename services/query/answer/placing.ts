/**
 * Where a row counts: series → group. What depends on the metric's labels alone is worked out once per page of labels,
 * however many hosts share it, as dense `inner` numbers; a host's own labels then turn those into groups.
 *
 *   series ──page──▶ inner (labels of the metric; -1: not selected) ──host──▶ group
 */
import type { Fleet, FleetHost, HostTable } from '../checkpoint/fleet.ts';
import type { SeriesPageIds } from '../checkpoint/dictionary.ts';
import { readCell } from '../../shared/algebra/heavy.ts';
import { innerLabels } from '../../shared/contract/lineage.ts';
import { Groups } from './groups.ts';
import { hostLabel, type Metric } from './metric.ts';
import { idTest, isRowLabel, type Selection } from './select.ts';

/** Inner number of rows that are not selected. */
const unselected = -1;
/** A group or column that was not asked for yet. */
export const unknown = -1;

type Cell = ReturnType<typeof readCell>;

/** The series of one set of pages. */
class Labelled {
  readonly #columns: Int32Array;
  readonly #cells = new Map<number, Cell>();

  constructor(
    readonly pages: readonly SeriesPageIds[],
    /** Inner number by series. */
    readonly inner: Int32Array,
    readonly innerText: (pages: readonly SeriesPageIds[], series: number) => string,
    splits: boolean,
  ) {
    this.#columns = new Int32Array(splits ? inner.length : 0).fill(unknown);
  }

  column(series: number, columns: Map<number, number>): number {
    const known = this.#columns[series] ?? unknown;
    if (known !== unknown) return known;
    const value = Number(this.innerText(this.pages, series));
    let column = columns.get(value);
    if (column === undefined) columns.set(value, (column = columns.size));
    if (series < this.#columns.length) this.#columns[series] = column;
    return column;
  }

  cell(series: number): Cell {
    if (!this.#cells.has(series)) this.#cells.set(series, readCell(this.innerText(this.pages, series)));
    return this.#cells.get(series);
  }
}

/** The series of one table of one host. */
export interface Place {
  readonly labelled: Labelled;
  /** Group by inner number, or `unknown`. */
  readonly groups: Int32Array;
  /** Dictionary numbers of the host's labels, by place in the grouping. */
  readonly hostIds: readonly number[];
}

export class Places {
  /** By values of a histogram's buckets, or a distinct count's pairs. */
  readonly columns = new Map<number, number>();
  readonly #tuples: Groups;
  readonly #fleet: Fleet;
  readonly #tests: readonly { readonly label: string; readonly test: (id: number) => boolean }[];
  /** Of each label of the grouping: its place among those of the metric, or -1 for a host's. */
  readonly #path: readonly { readonly label: string; readonly at: number }[];
  readonly #rowLabels: readonly string[];
  readonly #groupsByHost = new Map<string, { groups: Int32Array }>();
  readonly #labelled = new Map<string, Map<SeriesPageIds | undefined, Labelled[]>>();
  /** Inner number of rows without labels: of lost pages, and of what has no page. */
  readonly #blank: number;

  constructor(
    fleet: Fleet,
    readonly metric: Metric,
    selection: Selection,
    groupBy: readonly string[],
    readonly groups: Groups,
    /** Whether columns will be asked for. */
    readonly splits: boolean,
  ) {
    this.#fleet = fleet;
    this.#tuples = new Groups(fleet.dictionary, Infinity);
    this.#tests = selection.rowMatchers.map((m) => ({ label: m.label, test: idTest(m, fleet.dictionary) }));
    this.#rowLabels = groupBy.filter((label) => isRowLabel(metric, label));
    this.#path = groupBy.map((label) => ({ label, at: this.#rowLabels.indexOf(label) }));
    this.#blank = this.#tests.every((c) => c.test(0)) ? this.#tuple(this.#rowLabels.map(() => 0)) : unselected;
  }

  of(table: HostTable, host: FleetHost): Place {
    const hostIds = this.#path.map(({ label, at }) =>
      at < 0 ? this.#fleet.dictionary.intern(hostLabel(host, label)) : 0,
    );
    const labelled = this.#labelledBy(table);
    const key = hostIds.join();
    let known = this.#groupsByHost.get(key);
    if (!known) this.#groupsByHost.set(key, (known = { groups: new Int32Array(0) }));
    if (known.groups.length < this.#tuples.labels.length) {
      const larger = new Int32Array(2 ** Math.ceil(Math.log2(this.#tuples.labels.length))).fill(unknown);
      larger.set(known.groups);
      known.groups = larger;
    }
    return { labelled, groups: known.groups, hostIds };
  }

  /** Inner number of a series that lies beyond what the pages say. */
  get blank(): number {
    return this.#blank;
  }

  /** The group of an inner number, made now when it is new. */
  resolve({ groups, hostIds }: Place, inner: number): number {
    const labels = this.#tuples.labels[inner]!;
    const ids = this.#path.map(({ at }, i) => (at < 0 ? hostIds[i]! : labels[at]!));
    return (groups[inner] = groupOf(this.groups, ids));
  }

  /** The group of what has no labels, where the grouping has labels of hosts alone. */
  unlabelled(place: Place): number {
    return groupOf(
      this.groups,
      this.#path.map((_, i) => place.hostIds[i]!),
    );
  }

  #tuple(ids: readonly number[]): number {
    return groupOf(this.#tuples, ids);
  }

  /** Tables with the same pages and labels in the same places share what is worked out. */
  #labelledBy(table: HostTable): Labelled {
    const names = table.schema.labels.map((l) => l.name);
    const at = this.#rowLabels.map((label) => names.indexOf(label));
    const tests = this.#tests.map(({ label, test }) => ({ at: names.indexOf(label), test }));
    const splitAt = table.schema.labels.findIndex((l) => l.meaning === innerLabels[table.schema.kind]);
    const key = `${at.join()}/${tests.map((t) => t.at).join()}/${splitAt}`;
    let byPage = this.#labelled.get(key);
    if (!byPage) this.#labelled.set(key, (byPage = new Map()));
    const pages = table.pages.length < 2 ? table.pages : [...table.pages].sort((a, b) => a.first - b.first);
    let alike = byPage.get(pages[0]);
    if (!alike) byPage.set(pages[0], (alike = []));
    const known = alike.find((l) => l.pages.length === pages.length && l.pages.every((p, i) => p === pages[i]));
    if (known) return known;
    const last = pages.at(-1);
    const inner = new Int32Array(last ? last.first + last.count : 0).fill(this.#blank);
    const ids = at.map(() => 0);
    for (const { first, count, labels } of pages) {
      for (let i = 0; i < count; i++) {
        let selected = true;
        for (const t of tests) if (!t.test(labels[t.at]?.[i] ?? 0)) selected = false;
        for (let l = 0; l < at.length; l++) ids[l] = labels[at[l]!]?.[i] ?? 0;
        inner[first + i] = selected ? this.#tuple(ids) : unselected;
      }
    }
    const { dictionary } = this.#fleet;
    const textOf = (of: readonly SeriesPageIds[], series: number): string => {
      const page = of.find((p) => series >= p.first && series < p.first + p.count);
      return dictionary.text(page?.labels[splitAt]?.[series - page.first] ?? 0);
    };
    const made = new Labelled(pages, inner, textOf, this.splits);
    alike.push(made);
    return made;
  }
}

function groupOf(groups: Groups, ids: readonly number[]): number {
  let node = 0;
  for (const id of ids) node = groups.step(node, id);
  return groups.at(node, () => [...ids]);
}
