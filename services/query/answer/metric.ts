/** Metrics: tables by name, joined over hosts. The newest lineage's schema speaks for the metric. */
import type { Fleet, FleetHost, HostTable } from '../checkpoint/fleet.ts';
import { callerLabels, type TableSchema } from '../../shared/contract/lineage.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import { reject } from './rejection.ts';

export interface Metric {
  readonly name: string;
  readonly schema: TableSchema;
  readonly probe: string;
  /** Labels that callers may use, bucket left out. */
  readonly labels: readonly string[];
  /** Hosts that count it, by name, each with its tables of this metric. */
  readonly hosts: ReadonlyMap<string, readonly HostTable[]>;
  /** Hosts whose table of this name has another kind or unit and cannot be added. */
  readonly unlike: readonly string[];
}

/** Of what Query counts of a metric: a sketch and a histogram count observations there, and their values elsewhere. */
export const unitOf = (schema: TableSchema): string =>
  schema.kind === 'histogram' || schema.kind === 'distinct' ? 'observations' : schema.unit;

/** The metric asked for when none is named. */
const preferred = 'syscalls';

/** The sum of a counter stands first, whether a host keeps it by second or not. */
const alike = (a: TableSchema, b: TableSchema): boolean =>
  a.kind === b.kind && a.unit === b.unit && (a.valueCount === b.valueCount || a.kind === 'counter');

/** Worked out once for a fleet, which many requests may share. */
const known = new WeakMap<Fleet, ReadonlyMap<string, Metric>>();

/** All metrics, by name. */
export function metricsOf(fleet: Fleet): ReadonlyMap<string, Metric> {
  let metrics = known.get(fleet);
  if (!metrics) known.set(fleet, (metrics = findMetrics(fleet)));
  return metrics;
}

function findMetrics(fleet: Fleet): Map<string, Metric> {
  const newest = new Map<string, { schema: TableSchema; probe: string; createdNs: bigint }>();
  for (const host of fleet.hosts) {
    for (const { record, tables } of host.lineages) {
      for (const schema of tables.values()) {
        const known = newest.get(schema.name);
        if (!known || known.createdNs < record.createdWallNs)
          newest.set(schema.name, { schema, probe: record.probe, createdNs: record.createdWallNs });
      }
    }
  }
  const metrics = new Map<string, Metric>();
  for (const name of [...newest.keys()].sort()) {
    const { schema, probe } = newest.get(name)!;
    const hosts = new Map<string, HostTable[]>();
    const unlike: string[] = [];
    for (const host of fleet.hosts) {
      const tables = [...host.tables.values()].filter((t) => t.schema.name === name);
      const fitting = tables.filter((t) => alike(t.schema, schema));
      if (fitting.length < tables.length) unlike.push(host.name);
      if (fitting.length > 0) hosts.set(host.name, fitting);
    }
    metrics.set(name, { name, schema, probe, labels: callerLabels(schema).map((l) => l.name), hosts, unlike });
  }
  return metrics;
}

/** What a method wants of a metric: a kind, or a label that is a stack. */
export type Wanted = TableSchema['kind'] | 'stacks';

/** The label whose texts are stacks. */
export const stackLabel = (metric: Metric): string | undefined =>
  metric.schema.labels.find((l) => l.meaning === 'stack')?.name;

const fits = (metric: Metric, wanted: Wanted): boolean =>
  wanted === 'stacks' ? stackLabel(metric) !== undefined : metric.schema.kind === wanted;

/** The metric of a request; undefined only when none was named and there is none yet. */
export function findMetric(metrics: ReadonlyMap<string, Metric>, name: string, kind?: Wanted): Metric | undefined {
  const fitting = [...metrics.values()].filter((m) => kind === undefined || fits(m, kind));
  if (name === '') return (kind === undefined ? metrics.get(preferred) : undefined) ?? fitting[0];
  const metric = metrics.get(name);
  if (!metric) return reject({ kind: 'unknown-metric', metric: name, suggestion: nearest(name, [...metrics.keys()]) });
  if (kind !== undefined && !fits(metric, kind)) {
    return reject({
      kind: 'wrong-kind',
      metric: name,
      found: metric.schema.kind,
      wanted: kind,
      suggestion: fitting[0]?.name,
    });
  }
  return metric;
}

/** A label of the host itself: `host`, or a static label that no label of the metric hides. */
export function hostLabel({ name, record }: FleetHost, label: string): string {
  if (label === 'host') return name;
  // Own properties alone: a label may be called "constructor".
  return Object.hasOwn(record.labels, label) ? record.labels[label]! : '';
}

/** Static labels of any host. */
export function staticLabels(fleet: Fleet): Set<string> {
  const labels = new Set<string>();
  for (const host of fleet.hosts) for (const label of Object.keys(host.record.labels)) labels.add(label);
  return labels;
}
