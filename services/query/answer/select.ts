/**
 * Splits a selector and a grouping into what concerns hosts (decided once a host) and what concerns the metric's rows
 * (decided once a text). A label of the metric hides a static host label of the same name; `host` is always the host.
 */
import type { Dictionary } from '../checkpoint/dictionary.ts';
import type { Fleet, FleetHost } from '../checkpoint/fleet.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import { hostLabel, staticLabels, type Metric } from './metric.ts';
import { reject } from './rejection.ts';
import { matcherTest, parseSelector, type Matcher } from './selector.ts';

export interface Selection {
  /** Hosts that have the metric and match, by name. */
  readonly hosts: readonly FleetHost[];
  /** Conditions on labels of the metric. */
  readonly rowMatchers: readonly Matcher[];
}

/** Hosts that match a selector of host labels alone. */
export function selectHosts(fleet: Fleet, selector: string): FleetHost[] {
  return matchHosts(fleet.hosts, checkedMatchers(fleet, selector, []), fleet);
}

export function select(fleet: Fleet, metric: Metric, selector: string): Selection {
  const matchers = checkedMatchers(fleet, selector, metric.labels);
  const rowMatchers = matchers.filter((m) => isRowLabel(metric, m.label));
  const hosts = matchHosts(
    fleet.hosts,
    matchers.filter((m) => !isRowLabel(metric, m.label)),
    fleet,
  );
  const counting = hosts.filter((h) => metric.hosts.has(h.name));
  const named = matchers.find((m) => m.label === 'host' && m.operator === '=');
  if (named && hosts.length > 0 && counting.length === 0) {
    const state = hosts[0]!.lineages.find((l) => l.record.probe === metric.probe)?.record.state;
    reject({
      kind: 'not-counted',
      metric: metric.name,
      host: named.value,
      why: state ? `its probe ${metric.probe} is ${state}` : `its probe ${metric.probe} is not loaded`,
    });
  }
  return { hosts: counting, rowMatchers };
}

export const isRowLabel = (metric: Metric, label: string): boolean => label !== 'host' && metric.labels.includes(label);

/** Rejects a label that neither the metric nor any host has. */
export function checkLabel(
  fleet: Fleet,
  label: string,
  metricLabels: readonly string[],
  field: string,
  column?: number,
): void {
  const known = [...new Set([...metricLabels, 'host', ...[...staticLabels(fleet)].sort()])];
  if (!known.includes(label))
    reject({ kind: 'unknown-label', field, label, known, suggestion: nearest(label, known), column });
}

function checkedMatchers(fleet: Fleet, selector: string, metricLabels: readonly string[]): Matcher[] {
  const matchers = parseSelector(selector);
  for (const m of matchers) checkLabel(fleet, m.label, metricLabels, 'selector', m.column);
  return matchers;
}

function matchHosts(hosts: readonly FleetHost[], matchers: readonly Matcher[], fleet: Fleet): FleetHost[] {
  for (const m of matchers) {
    if (m.label === 'host' && m.operator === '=' && !hosts.some((h) => h.name === m.value)) {
      reject({
        kind: 'unknown-host',
        host: m.value,
        suggestion: nearest(
          m.value,
          fleet.hosts.map((h) => h.name),
        ),
      });
    }
  }
  const tests = matchers.map((m) => ({ label: m.label, test: matcherTest(m) }));
  return hosts.filter((h) => tests.every(({ label, test }) => test(hostLabel(h, label))));
}

/** A row matcher over dictionary numbers; each text is tested once. */
export function idTest(matcher: Matcher, dictionary: Dictionary): (id: number) => boolean {
  const test = matcherTest(matcher);
  const known = new Uint8Array(dictionary.size);
  return (id) => {
    if (known[id] === 0) known[id] = test(dictionary.text(id)) ? 1 : 2;
    return known[id] === 1;
  };
}
