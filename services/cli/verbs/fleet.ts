/** `muster hosts`, `muster metrics`, `muster ledger`: what FleetService says, as tables. */
import { grouped } from '../output/units.ts';
import { list, remarks, text } from '../output/coverage.ts';
import type { Answer, DataVerb } from '../output/verb.ts';
import { countOption, given, pageSize, selectorOption } from './shared-options.ts';

const pairs = (labels: unknown): string =>
  Object.entries((labels ?? {}) as Record<string, string>).map(([name, value]) => `${name}=${value}`).join(',');

export const hosts: DataVerb = {
  name: 'hosts',
  operands: [],
  options: [selectorOption, countOption],
  examples: ['muster hosts', `muster hosts --selector 'role="web"' -o json`],
  plan: (_, options) => ({
    service: 'FleetService',
    method: 'ListHosts',
    request: given({ selector: options['selector'], page_size: pageSize(options) }),
  }),
  table: (answer) => ({
    columns: [{ title: 'host' }, { title: 'state' }, { title: 'lag', right: true }, { title: 'kernel' }, { title: 'probes' }, { title: 'labels' }],
    rows: list(answer['hosts']).map((host) => [
      text(host['host']),
      text(host['state']),
      lag(host['lag']),
      text(host['kernel']),
      list(host['probes']).map((p) => (text(p['state']) === 'live' ? text(p['probe']) : `${text(p['probe'])} (${text(p['state'])})`)).join(', '),
      pairs(host['labels']),
    ]),
    notes: [
      ...list(answer['hosts']).flatMap((host) =>
        list(host['probes'])
          .filter((p) => text(p['reason']) !== '')
          .map((p) => `${text(host['host'])} ${text(p['probe'])}: ${text(p['reason'])}`),
      ),
      ...remarks(answer['notes']),
    ],
  }),
};

/** "0.812000000s" → "0.8s". */
const lag = (duration: unknown): string => (duration === undefined ? '' : `${Number.parseFloat(text(duration)).toFixed(1)}s`);

export const metrics: DataVerb = {
  name: 'metrics',
  operands: [],
  options: [countOption],
  examples: ['muster metrics', 'muster metrics -o json'],
  plan: (_, options) => ({ service: 'FleetService', method: 'ListMetrics', request: given({ page_size: pageSize(options) }) }),
  table: (answer) => ({
    columns: [{ title: 'metric' }, { title: 'kind' }, { title: 'unit' }, { title: 'labels' }, { title: 'hosts', right: true }, { title: 'what' }],
    rows: list(answer['metrics']).map((metric) => [
      text(metric['name']),
      text(metric['kind']),
      text(metric['unit']),
      list(metric['labels']).map((label) => text(label['name'])).join(', '),
      grouped(metric['hosts'] ?? 0),
      text(metric['help']),
    ]),
    notes: remarks(answer['notes']),
  }),
};

const losses = ['overflow', 'failed', 'skipped', 'lost', 'quarantined'] as const;

export const ledger: DataVerb = {
  name: 'ledger',
  operands: ['[metric]'],
  options: [selectorOption, countOption],
  examples: ['muster ledger', `muster ledger syscalls --selector 'host="web-1"'`],
  plan: (operands, options) => ({
    service: 'FleetService',
    method: 'GetLedger',
    request: given({ metric: operands[0], selector: options['selector'], page_size: pageSize(options) }),
  }),
  table: (answer) => ({
    columns: [
      { title: 'host' },
      { title: 'table' },
      ...['seen', 'attributed', ...losses].map((title) => ({ title, right: true })),
      { title: 'balanced' },
    ],
    rows: list(answer['rows']).map((row) => {
      const account = (row['ledger'] ?? {}) as Answer;
      return [
        text(row['host']),
        text(row['table']),
        grouped(account['seen'] ?? 0),
        grouped(row['attributed'] ?? 0),
        ...losses.map((name) =>
          name === 'skipped' && account['skips_unknown'] === true ? 'unknown' : grouped(account[name] ?? 0),
        ),
        row['balanced'] === true ? 'yes' : 'no',
      ];
    }),
    notes: [answer['exact'] === true ? 'exact: every event is accounted for' : 'not exact: see the columns above', ...remarks(answer['notes'])],
  }),
};
