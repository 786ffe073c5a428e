/** `muster contains`: which hosts have seen a value, by their Bloom filters. */
import type { ContainsResponse } from '../../shared/contract/query.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { coverageNotes, remarks } from '../output/coverage.ts';
import type { Table } from '../output/table.ts';
import { grouped } from '../output/units.ts';
import type { DataVerb } from '../output/verb.ts';
import { countOption, given, pageSize, selectorOption } from './shared-options.ts';

export const contains: DataVerb<'Contains'> = {
  name: 'contains',
  method: 'Contains',
  operands: ['<metric>', '<label=value...>'],
  options: [{ ...selectorOption, help: `conditions on hosts, e.g. 'role="web"'` }, countOption],
  examples: [
    'muster contains first_execs binary=/usr/bin/nc',
    `muster contains first_connects peer=192.0.2.7 port=443 --selector 'role="web"'`,
  ],
  plan: ([metric, ...words], options) => ({
    ...given({
      metric,
      selector: typeof options['selector'] === 'string' ? options['selector'] : undefined,
      pageSize: pageSize(options),
    }),
    labels: labelsOf(words),
  }),
  table: containsTable,
};

function labelsOf(words: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 1) {
      throw new MusterError('config/invalid', `${JSON.stringify(word)}: not LABEL=VALUE`, {
        remedy: 'for example binary=/usr/bin/nc; `muster metrics` shows the labels',
      });
    }
    labels[word.slice(0, at)] = word.slice(at + 1);
  }
  return labels;
}

const percent = (part: number): string => `${Number((part * 100).toPrecision(2))} %`;

export function containsTable(answer: ContainsResponse): Table {
  return {
    columns: [
      { title: 'host' },
      { title: 'seen' },
      { title: 'false by chance', right: true },
      { title: 'filter full', right: true },
    ],
    rows: answer.hosts.map((h) => [
      h.host,
      h.certain ? 'yes' : 'probably',
      h.certain ? '' : percent(h.falsePositiveRate),
      percent(h.fill),
    ]),
    notes: [
      `${grouped(answer.hostsFound)} of ${grouped(answer.hostsAsked)} hosts; a value that none has seen is found in the fleet with ${percent(answer.falsePositiveRate)}`,
      ...coverageNotes(answer.coverage),
      ...remarks(answer.notes),
    ],
  };
}
