/** FleetService lists: metrics, label values, hosts. All in the order of their names, so that pages agree. */
import type { Fleet, FleetHost } from '../checkpoint/fleet.ts';
import type {
  Host,
  HostProbe,
  ListHostsRequest,
  ListLabelValuesRequest,
  Metric as MetricMessage,
} from '../../shared/contract/query.ts';
import { readCell } from '../../shared/algebra/heavy.ts';
import { callerLabels } from '../../shared/contract/lineage.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import { coverageLimits, noHost, refusedNotes } from './coverage.ts';
import { duration, timestamp } from './times.ts';
import { unknownWindows } from './unknown.ts';
import { isStale, namesakeNote, namesakesOf, nsToMs, uuidText } from './host-state.ts';
import { nothingYet } from './nothing.ts';
import { findMetric, hostLabel, metricsOf } from './metric.ts';
import { fitPage, textBytes, type Prepared } from './page.ts';
import { iso } from './range.ts';
import { reject } from './rejection.ts';
import { checkLabel, idTest, isRowLabel, select, selectHosts } from './select.ts';

export const listPage = { fallback: 100, max: 1000 } as const;
export const valuesPage = { fallback: 1000, max: 10_000 } as const;

export function prepareMetrics(fleet: Fleet): Prepared<'ListMetrics'> {
  const metrics = [...metricsOf(fleet).values()].map(({ name, schema, probe, hosts }): MetricMessage => ({
    name,
    kind: schema.kind,
    unit: schema.unit,
    help: schema.help,
    labels: callerLabels(schema).map((l) => ({ name: l.name, meaning: l.meaning })),
    probe,
    table: schema.name,
    hosts: hosts.size,
  }));
  return {
    count: metrics.length,
    page(first, wanted, next) {
      const last = fitPage(first, Math.min(wanted, metrics.length), (r) => 256 + textBytes([metrics[r]!.help]));
      return {
        metrics: metrics.slice(first, last),
        nextPageToken: last < metrics.length ? next(last) : '',
        notes: metrics.length > 0 ? [] : [nothingYet],
      };
    },
  };
}

export function* prepareLabelValues(
  request: ListLabelValuesRequest,
  fleet: Fleet,
): Generator<void, Prepared<'ListLabelValues'>> {
  const metric = findMetric(metricsOf(fleet), request.metric);
  if (!metric) return { count: 0, page: () => ({ values: [], nextPageToken: '', metric: '', label: request.label }) };
  const label = request.label || metric.labels[0] || 'host';
  checkLabel(fleet, label, metric.labels, 'label');
  const { hosts, rowMatchers } = select(fleet, metric, request.selector);
  const found = new Map<number, number>();
  const tests = rowMatchers.map((m) => ({ label: m.label, test: idTest(m, fleet.dictionary) }));
  for (const host of hosts) {
    const own = new Set<number>();
    for (const table of metric.hosts.get(host.name)!) {
      const at = (name: string): number => table.schema.labels.findIndex((l) => l.name === name);
      const checks = tests.map((t) => ({ at: at(t.label), test: t.test }));
      const wanted = isRowLabel(metric, label) ? at(label) : -1;
      const constant =
        wanted < 0 ? fleet.dictionary.intern(isRowLabel(metric, label) ? '' : hostLabel(host, label)) : 0;
      const cellAt = table.schema.kind === 'heavy' ? table.schema.labels.findIndex((l) => l.meaning === 'cell') : -1;
      const shared = (id: number): boolean => readCell(fleet.dictionary.text(id))?.shared === true;
      for (const { first, count, labels } of table.pages) {
        // Series 0 is the overflow row, which has no labels.
        for (let i = first === 0 ? 1 : 0; i < count; i++) {
          if (cellAt >= 0 && shared(labels[cellAt]![i]!)) continue;
          if (checks.every((c) => c.test(labels[c.at]?.[i] ?? 0))) own.add(wanted < 0 ? constant : labels[wanted]![i]!);
        }
        yield;
      }
    }
    for (const id of own) found.set(id, (found.get(id) ?? 0) + 1);
  }
  const values = [...found]
    .map(([id, n]) => ({ value: fleet.dictionary.text(id), hosts: n }))
    .sort((a, b) => (a.value < b.value ? -1 : 1));
  return {
    count: values.length,
    page(first, wanted, next) {
      const last = fitPage(first, Math.min(wanted, values.length), (r) => 16 + textBytes([values[r]!.value]));
      return {
        values: values.slice(first, last),
        nextPageToken: last < values.length ? next(last) : '',
        metric: metric.name,
        label,
      };
    },
  };
}

export function prepareHosts(request: ListHostsRequest, fleet: Fleet, nowMs: number): Prepared<'ListHosts'> {
  const hosts = selectHosts(fleet, request.selector).filter((h) => request.includeGone || !h.gone);
  return {
    count: hosts.length,
    page(first, wanted, next) {
      const made = hosts.slice(first, wanted).map((h) => hostMessage(h, nowMs));
      const last = fitPage(first, Math.min(wanted, hosts.length), (r) => JSON.stringify(made[r - first]).length);
      const nextPageToken = last < hosts.length ? next(last) : '';
      return {
        hosts: made.slice(0, last - first),
        nextPageToken,
        totalSize: hosts.length,
        notes:
          fleet.hosts.length === 0
            ? [nothingYet]
            : hosts.length === 0
              ? [noHost]
              : [
                  ...refusedNotes(hosts.slice(first, last)),
                  ...hosts
                    .slice(first, last)
                    .flatMap((h) => notesOf(h, nowMs))
                    .slice(0, notesMax),
                ],
      };
    },
  };
}

const notesMax = 20;
/** Beyond this a clock that is off is worth a remark. */
const skewNotedMs = 10_000;

function notesOf(host: FleetHost, nowMs: number): string[] {
  const others = namesakesOf(host, nowMs);
  const skewMs = Number(host.record.clockSkewMs);
  return [
    ...(others.length > 0 ? [namesakeNote(host, others)] : []),
    ...(Math.abs(skewMs) > skewNotedMs
      ? [`the clock of ${host.name} is ${Math.abs(skewMs) / 1000} s ${skewMs > 0 ? 'ahead' : 'behind'}: set it (NTP)`]
      : []),
  ];
}

/** The host asked for; an empty name is the only host there is. */
export function findHost(fleet: Fleet, name: string): FleetHost {
  if (name === '')
    return fleet.hosts.length === 1 ? fleet.hosts[0]! : reject({ kind: 'no-host-given', hosts: fleet.hosts.length });
  const names = fleet.hosts.map((h) => h.name);
  return (
    fleet.hosts.find((h) => h.name === name) ??
    reject({ kind: 'unknown-host', host: name, suggestion: nearest(name, names) })
  );
}

/** A host that may be forgotten, as it will be: one that still reports would be back at once. */
export function forgettable(fleet: Fleet, name: string, nowMs: number): Host {
  const host = findHost(fleet, name);
  if (!isStale(host, nowMs)) reject({ kind: 'still-reporting', host: host.name });
  return { ...hostMessage(host, nowMs), state: 'gone' };
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

export function hostMessage(host: FleetHost, nowMs: number): Host {
  const { record } = host;
  const loaded = host.lineages.map(({ record: l, tables }): HostProbe => {
    const stale = l.state === 'live' && isStale(host, nowMs, Number(l.mergedWallMs || record.mergedWallMs));
    const detached = l.state === 'live' && l.detachedWallNs > 0n;
    const state = detached ? 'ended' : stale ? 'stale' : l.state;
    return {
      probe: l.probe,
      state,
      reason: detached
        ? `nothing counts here since ${iso(nsToMs(l.detachedWallNs))}: its programs were detached`
        : (probeReasons[state] ?? ''),
      lineage: hex(l.uuid),
      createdTime: timestamp(nsToMs(l.createdWallNs)),
      generation: String(l.generation),
      tables: [...tables.values()].map((t) => t.name),
      bootId: uuidText(l.bootId),
      programs: [
        ...l.programs.map(({ program, hook }) => ({ program, hook, state: 'attached', reason: '' })),
        ...record.missing
          .filter((m) => m.probe === l.probe && m.program !== '' && l.state === 'live')
          .map(({ program, hook, reason }) => ({ program, hook, state: 'missing', reason })),
      ],
    };
  });
  const probes = [...loaded, ...record.missing.filter((m) => m.program === '').map(missingProbe)];
  const stale = isStale(host, nowMs);
  return {
    host: host.name,
    state: host.gone ? 'gone' : stale ? 'stale' : 'reporting',
    kernel: record.kernelRelease,
    bootId: uuidText(record.bootId),
    lastSeenTime: timestamp(Number(record.mergedWallMs)),
    lag: duration(Math.max(0, nowMs - nsToMs(record.readWallNs))),
    probes,
    labels: record.labels,
    interval: duration(nsToMs(record.intervalNs)),
    synthetic: record.synthetic,
    quarantinedBatches: String(record.quarantinedBatches),
    unknown: unknownWindows([host], undefined).slice(0, coverageLimits.unknownListed),
    clockSkew: duration(Number(record.clockSkewMs)),
    staleSinceTime: stale ? timestamp(Number(record.mergedWallMs)) : undefined,
  };
}

const missingProbe = ({ probe, reason }: { readonly probe: string; readonly reason: string }): HostProbe => ({
  probe,
  state: 'missing',
  reason,
  lineage: '',
  createdTime: undefined,
  generation: '0',
  tables: [],
  bootId: '',
  programs: [],
});

const probeReasons: Readonly<Record<string, string>> = {
  stale: 'nothing was read lately: the probe was unloaded, or the agent, the bus or the aggregator is away',
  quarantined: 'an older live lineage counts the same events; this one is set aside',
  namesake: 'another machine bears this host name and was there first; this one is set aside: give it another --host',
  ended: 'a younger lineage took over',
};
