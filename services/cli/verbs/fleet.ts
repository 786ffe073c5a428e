/** `muster hosts`, `muster metrics`, `muster ledger`: what FleetService says, as tables. */
import type { Duration, Ledger } from '../../shared/contract/query.ts';
import { remarks } from '../output/coverage.ts';
import { grouped } from '../output/units.ts';
import type { DataVerb } from '../output/verb.ts';
import { countOption, given, pageSize, selectorOption, type Options } from './shared-options.ts';

const selector = (options: Options): string | undefined =>
  typeof options['selector'] === 'string' ? options['selector'] : undefined;

const seconds = (d: Duration | undefined | null): string =>
  d ? `${(Number(d.seconds) + d.nanos / 1e9).toFixed(1)}s` : '';

export const hosts: DataVerb<'ListHosts'> = {
  name: 'hosts',
  method: 'ListHosts',
  operands: [],
  options: [selectorOption, countOption, { flag: '--gone', help: 'hosts that are gone too' }],
  examples: ['muster hosts', `muster hosts --selector 'role="web"' -o json`],
  plan: (_, options) =>
    given({
      selector: selector(options),
      pageSize: pageSize(options),
      includeGone: options['gone'] === true ? true : undefined,
    }),
  table: (answer) => ({
    columns: [
      { title: 'host' },
      { title: 'state' },
      { title: 'lag', right: true },
      { title: 'kernel' },
      { title: 'probes' },
      { title: 'labels' },
    ],
    rows: answer.hosts.map((host) => [
      host.host,
      host.synthetic ? `${host.state}, synthetic` : host.state,
      seconds(host.lag),
      host.kernel,
      host.probes.map((p) => (p.state === 'live' ? p.probe : `${p.probe} (${p.state})`)).join(', '),
      Object.entries(host.labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(','),
    ]),
    notes: [
      ...answer.hosts.flatMap((host) =>
        host.probes.filter((p) => p.reason !== '').map((p) => `${host.host} ${p.probe}: ${p.reason}`),
      ),
      ...remarks(answer.notes),
    ],
  }),
};

export const forgetHost: DataVerb<'ForgetHost'> = {
  name: 'hosts forget',
  method: 'ForgetHost',
  operands: ['<host>'],
  options: [],
  examples: ['muster hosts forget web-1', 'muster hosts forget web-1 -o json'],
  plan: ([host]) => given({ host }),
  table: ({ host }) => ({
    columns: [{ title: 'host' }, { title: 'state' }],
    rows: [[host?.host ?? '', host?.state ?? '']],
    notes: ['its counts stay in every total; it is listed again when it reports again'],
  }),
};

export const metrics: DataVerb<'ListMetrics'> = {
  name: 'metrics',
  method: 'ListMetrics',
  operands: [],
  options: [countOption],
  examples: ['muster metrics', 'muster metrics -o json'],
  plan: (_, options) => given({ pageSize: pageSize(options) }),
  table: (answer) => ({
    columns: [
      { title: 'metric' },
      { title: 'kind' },
      { title: 'unit' },
      { title: 'labels' },
      { title: 'hosts', right: true },
      { title: 'what' },
    ],
    rows: answer.metrics.map((metric) => [
      metric.name,
      metric.kind,
      metric.unit,
      metric.labels.map((label) => label.name).join(', '),
      grouped(metric.hosts),
      metric.help,
    ]),
    notes: remarks(answer.notes),
  }),
};

const losses = ['overflow', 'failed', 'skipped', 'lost', 'quarantined'] as const satisfies readonly (keyof Ledger)[];

export const ledger: DataVerb<'GetLedger'> = {
  name: 'ledger',
  method: 'GetLedger',
  operands: ['[metric]'],
  options: [selectorOption, countOption],
  examples: ['muster ledger', `muster ledger syscalls --selector 'host="web-1"'`],
  plan: (operands, options) => given({ metric: operands[0], selector: selector(options), pageSize: pageSize(options) }),
  table: (answer) => ({
    columns: [
      { title: 'host' },
      { title: 'table' },
      ...['seen', 'attributed', ...losses].map((title) => ({ title, right: true })),
      { title: 'balanced' },
    ],
    rows: answer.rows.map((row) => [
      row.host,
      row.table,
      grouped(row.ledger?.seen),
      grouped(row.attributed),
      ...losses.map((name) =>
        name === 'skipped' && row.ledger?.skipsUnknown ? 'unknown' : grouped(row.ledger?.[name]),
      ),
      row.balanced ? 'yes' : 'no',
    ]),
    notes: [
      answer.exact ? 'exact: every event is accounted for' : 'not exact: the columns say where',
      ...remarks(answer.notes),
    ],
  }),
};
