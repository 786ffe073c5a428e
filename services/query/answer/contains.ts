/**
 * QueryService/Contains: which hosts have seen a value, by their Bloom filters. A host's filter is the OR of its rows
 * over lineages and generations, the fleet's the OR of its hosts'. "No" is certain for what the filter saw, "yes" but
 * for the stated rate; where a row names the value it is certain too.
 */
import type { Fleet, FleetHost } from '../checkpoint/fleet.ts';
import type { ContainsHost, ContainsRequest, ContainsResponse } from '../../shared/contract/query.ts';
import { nothingSampled } from '../../shared/algebra/sampling.ts';
import { bitsOf, bitsSet, falsePositiveRate, hasAll } from '../../shared/algebra/filter.ts';
import { filterOf } from '../../shared/contract/lineage.ts';
import { cover } from './coverage.ts';
import { nothing } from './nothing.ts';
import { hashOfLabels } from './key-of.ts';
import { findMetric, metricsOf, type Metric } from './metric.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { reject } from './rejection.ts';
import type { HostScan } from './scan.ts';
import { select } from './select.ts';

const noFilter =
  'no host keeps what it has seen: load a probe that does, e.g. `muster load first_seen`; FleetService/ListMetrics shows what there is';

export const containsPage = { fallback: 100, max: 1000 } as const;

/** The metric asked about, and that of its filter; undefined when none was named and there is none yet. */
export function findFiltered(fleet: Fleet, name: string): { metric: Metric; filter: Metric } | undefined {
  const metrics = metricsOf(fleet);
  const filtered = [...metrics.values()].filter((m) => metrics.get(filterOf(m.name))?.schema.kind === 'filter');
  const metric = name === '' ? filtered[0] : findMetric(metrics, name);
  if (!metric) return undefined;
  const filter = metrics.get(filterOf(metric.name));
  if (filter?.schema.kind !== 'filter') {
    return reject({
      kind: 'wrong-kind',
      metric: metric.name,
      found: metric.schema.kind,
      wanted: 'values seen first',
      suggestion: filtered[0]?.name,
    });
  }
  return { metric, filter };
}

export function* prepareContains(
  request: ContainsRequest,
  fleet: Fleet,
  nowMs: number,
): Generator<void, Prepared<'Contains'>> {
  const found = findFiltered(fleet, request.metric);
  if (!found) {
    const none = { hosts: [], hostsAsked: 0, hostsFound: 0, falsePositiveRate: 0, falseHostsExpected: 0 };
    return nothing(none, fleet, noFilter);
  }
  const { metric, filter } = found;
  const hash = hashOfLabels(metric.schema, request.labels);
  const { hosts, rowMatchers } = select(fleet, filter, request.selector);
  if (rowMatchers.length > 0)
    reject({ kind: 'bad-field', field: 'selector', problem: 'it asks for a label of rows', fix: 'select hosts' });
  const texts = metric.schema.labels.map((l) => fleet.dictionary.find(request.labels[l.name]!));
  const rows: ContainsHost[] = [];
  const scans: HostScan[] = [];
  const all = new Map<number, Uint32Array>();
  let expected = 0;
  for (const host of hosts) {
    const { words, bits, lost } = filterOn(fleet, filter, host);
    scans.push({
      host,
      overflow: lost,
      shared: new Map(),
      counted: 0n,
      seen: 0n,
      failed: 0n,
      skipped: 0n,
      sampled: nothingSampled,
      undivided: 0n,
      fromMs: Infinity,
    });
    const rate = falsePositiveRate(bitsSet(words), bits);
    expected += rate;
    const joined = all.get(bits) ?? new Uint32Array(bits / 32);
    all.set(bits, joined);
    for (let i = 0; i < words.length; i++) joined[i]! |= words[i]!;
    if (hasAll(words, bitsOf(hash, bits))) {
      const certain = names(metric, host, texts);
      rows.push({ host: host.name, certain, falsePositiveRate: rate, fill: bitsSet(words) / bits });
    }
    yield;
  }
  // Filters of different sizes cannot be joined: a value is false to the fleet if it is false to any of the sizes.
  const rates = [...all].map(([bits, words]) => falsePositiveRate(bitsSet(words), bits));
  const fleetRate = -Math.expm1(rates.reduce((sum, rate) => sum + Math.log1p(-rate), 0));
  const covered = cover(fleet, filter, scans, { kind: 'all' }, nowMs);
  const notes = [...covered.notes, ...verdict(rows, hosts.length, expected)];
  return containsPages(rows, {
    hostsAsked: hosts.length,
    hostsFound: rows.length,
    falsePositiveRate: fleetRate,
    falseHostsExpected: expected,
    coverage: { ...covered.coverage, exact: covered.coverage.exact && rows.every((r) => r.certain) },
    notes,
    metric: metric.name,
  });
}

/** Cuts pages; a function of its own, so that a kept answer holds its rows and not the fleet. */
const containsPages = (
  rows: readonly ContainsHost[],
  rest: Omit<ContainsResponse, 'hosts' | 'nextPageToken'>,
): Prepared<'Contains'> => ({
  count: rows.length,
  page(first, wanted, next) {
    const last = fitPage(first, Math.min(wanted, rows.length), (r) => 64 + textBytes([rows[r]!.host]));
    return { ...rest, hosts: rows.slice(first, last), nextPageToken: last < rows.length ? next(last) : '' };
  },
});

function verdict(rows: readonly ContainsHost[], asked: number, expected: number): string[] {
  if (asked === 0) return ['no host has this filter'];
  if (rows.length === 0) return [`none of ${asked} hosts has seen it since its filter began`];
  const certain = rows.filter((r) => r.certain).length;
  if (certain === rows.length) return [];
  return [
    `${rows.length - certain} of ${rows.length} hosts have no row of it; by chance alone ${expected.toPrecision(2)} hosts would be named`,
  ];
}

/** A host's filter: bits set anywhere, and how many were set that no row says. */
function filterOn(fleet: Fleet, filter: Metric, host: FleetHost): { words: Uint32Array; bits: number; lost: bigint } {
  const tables = filter.hosts.get(host.name)!;
  const bits = Math.max(...tables.map((t) => t.schema.rows)) * 64;
  const words = new Uint32Array(bits / 32);
  let lost = 0n;
  for (const table of tables) {
    const wordOf = new Map<number, number>();
    for (const { first, count, labels } of table.pages)
      for (let i = 0; i < count; i++) wordOf.set(first + i, Number(fleet.dictionary.text(labels[0]![i]!)));
    for (const { values } of [...table.bases, ...table.lasts]) {
      for (let r = 0; r < values.count; r++) {
        const series = values.series[r]!;
        const at = (values.count + r) * 2;
        const word = wordOf.get(series) ?? -1;
        if (series === 0) lost += BigInt(values.values[r * 2]!);
        else if (word >= 0 && word * 2 + 1 < words.length) {
          words[word * 2]! |= values.values[at]!;
          words[word * 2 + 1]! |= values.values[at + 1]!;
        }
      }
    }
  }
  return { words, bits, lost };
}

/** True when a row of the host has exactly these labels; `undefined`: a text that no row of the fleet has. */
function names(metric: Metric, host: FleetHost, texts: readonly (number | undefined)[]): boolean {
  if (texts.includes(undefined)) return false;
  for (const table of metric.hosts.get(host.name) ?? []) {
    for (const { first, count, labels } of table.pages) {
      for (let i = first === 0 ? 1 : 0; i < count; i++) if (texts.every((id, l) => labels[l]![i] === id)) return true;
    }
  }
  return false;
}
