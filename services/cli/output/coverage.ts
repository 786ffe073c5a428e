/** Coverage, ledger and remarks of an answer as the few lines below a table. */
import { timestampText } from '../../shared/contract/proto-json.ts';
import type { Coverage, Ledger, Timestamp } from '../../shared/contract/query.ts';
import { grouped } from './units.ts';

/** "12:05:00"; empty for no time. */
export const clock = (time: Timestamp | undefined | null): string => (time ? timestampText(time).slice(11, 19) : '');

const losses = ['overflow', 'failed', 'skipped', 'lost', 'quarantined'] as const satisfies readonly (keyof Ledger)[];

/** Hosts, exactness and time, then, line by line, whatever stands against it. */
export function coverageNotes(coverage: Coverage | undefined | null): string[] {
  if (!coverage) return [];
  const span =
    coverage.startTime && coverage.endTime ? ` · ${clock(coverage.startTime)}–${clock(coverage.endTime)} UTC` : '';
  const exact = coverage.exact ? 'exact' : 'not exact';
  const notes = [`hosts ${coverage.hostsReporting} of ${coverage.hostsMatched} reporting · ${exact}${span}`];
  if (coverage.synthetic) notes.push('synthetic: a generator made some of these rows, not a kernel');
  if (coverage.staleHosts.length > 0) {
    const more = coverage.staleHostsCount - coverage.staleHosts.length;
    notes.push(`stale: ${coverage.staleHosts.join(', ')}${more > 0 ? ` and ${more} more` : ''}`);
  }
  const { ledger } = coverage;
  if (ledger) {
    const named = losses.filter((name) => ledger[name] !== '0').map((name) => `${name} ${grouped(ledger[name])}`);
    if (named.length > 0) notes.push(`ledger: ${named.join(', ')}; seen ${grouped(ledger.seen)}`);
    if (ledger.skipsUnknown) notes.push('skips unknown: some hook has no counter of skipped runs');
  }
  for (const span of coverage.unknown) {
    const until = span.end ? clock(span.end) : 'now';
    notes.push(`unknown: ${span.host} ${clock(span.start)}–${until} ${span.reason} ${span.probe}`.trimEnd());
  }
  return notes;
}

export const remarks = (notes: readonly string[]): string[] => notes.map((note) => `note: ${note}`);

/** What --require-complete refuses: a stale host or an unknown span. */
export function isIncomplete(answer: object): boolean {
  const coverage = 'coverage' in answer ? (answer.coverage as Coverage | null | undefined) : undefined;
  return !!coverage && (!coverage.complete || coverage.unknown.length > 0);
}
