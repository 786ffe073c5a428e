/** Coverage, ledger and remarks of an answer as the few lines below a table. */
import { clock, grouped } from './units.ts';

type Fields = Readonly<Record<string, unknown>>;
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
export const list = (value: unknown): readonly Fields[] => (Array.isArray(value) ? (value as Fields[]) : []);
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const count = (value: unknown): bigint => {
  try {
    return BigInt(String(value ?? 0));
  } catch {
    return 0n;
  }
};

/** "web-1 · exact · 12:00:00–12:01:00" and, line by line, whatever stands against it. */
export function coverageNotes(coverage: unknown): string[] {
  const c = fields(coverage);
  const notes: string[] = [];
  const matched = Number(c['hosts_matched'] ?? 0);
  const reporting = Number(c['hosts_reporting'] ?? 0);
  const span = c['start_time'] && c['end_time'] ? ` · ${clock(c['start_time'])}–${clock(c['end_time'])} UTC` : '';
  notes.push(`hosts ${reporting} of ${matched} reporting · ${c['exact'] === true ? 'exact' : 'not exact'}${span}`);
  if (c['synthetic'] === true) notes.push('synthetic: a generator made some of these rows, not a kernel');
  const stale = Array.isArray(c['stale_hosts']) ? (c['stale_hosts'] as unknown[]).map(String) : [];
  if (stale.length > 0) notes.push(`stale: ${stale.join(', ')}${Number(c['stale_hosts_count'] ?? 0) > stale.length ? ', …' : ''}`);
  const ledger = fields(c['ledger']);
  const losses = ['overflow', 'failed', 'skipped', 'lost', 'quarantined'].filter((name) => count(ledger[name]) > 0n);
  if (losses.length > 0) notes.push(`ledger: ${losses.map((name) => `${name} ${grouped(ledger[name])}`).join(', ')} of ${grouped(ledger['seen'])} seen`);
  if (ledger['skips_unknown'] === true) notes.push('some hook has no counter of skipped runs: skips unknown');
  for (const unknown of list(c['unknown'])) {
    notes.push(`unknown: ${text(unknown['host'])} ${clock(unknown['start'])}–${clock(unknown['end'])} ${text(unknown['reason'])} ${text(unknown['probe'])}`.trimEnd());
  }
  return notes;
}

export const remarks = (notes: unknown): string[] => (Array.isArray(notes) ? notes.map((note) => `note: ${String(note)}`) : []);

/** True when hosts are stale or spans unknown: what --require-complete refuses. */
export function isIncomplete(answer: Fields): boolean {
  const c = fields(answer['coverage']);
  return Object.keys(c).length > 0 && (c['complete'] !== true || list(c['unknown']).length > 0);
}
