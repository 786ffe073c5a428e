/** A probe's tables as callers see them, for the tests of the built-in probes: labels decoded, buckets added up. */
import assert from 'node:assert/strict';
import { machine } from 'node:os';
import { createHostNames } from '../../services/agent/adapters/host-names.ts';
import type { NameOf } from '../../services/agent/labels/names.ts';
import { decodeLabels, decodersOf } from '../../services/agent/labels/decoders.ts';
import { innerLabels } from '../../services/shared/contract/lineage.ts';
import { bucketLower, bucketUpper } from '../../services/shared/algebra/histogram.ts';
import { total, type LoadedProbe } from './probe.ts';

export interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
  /** A counter's value, or a histogram's count. */
  count: bigint;
  /** A histogram's sum. */
  sum: bigint;
}

/** All rows of a table; also checks that they add up to what was seen, and each bucket's sum can come from its count. */
export function labelled(probe: LoadedProbe, table: string): Labelled[] {
  const number = probe.meta.tables.findIndex((t) => t.name === table);
  const schema = probe.meta.tables[number]!;
  assert.ok(schema, `there is a table ${table}`);
  const contents = probe.read(undefined, number);
  const hostName = createHostNames(() => performance.now());
  // Stacks by number: tests ask the keeper's part for the names themselves.
  const nameOf: NameOf = (kind, id) => (kind === 'stack' ? String(id) : hostName(kind, id));
  const decoders = decodersOf(schema.labels, { machine: machine(), nameOf });
  const found = new Map<string, Labelled>();
  for (const { row, key, values } of contents.rows) {
    // A CPU's spare: issued, in no hash, and nothing was counted in it.
    if (key.length === 0) {
      assert.ok(
        values.every((v) => v === 0n),
        `row ${row} of ${table} has counts and no key`,
      );
      continue;
    }
    const texts = decodeLabels(decoders, new DataView(key.buffer, key.byteOffset, key.byteLength), 0);
    const labels: Record<string, string> = {};
    schema.labels.forEach((label, i) => {
      if (label.meaning !== innerLabels[schema.kind]) labels[label.name] = texts[i]!;
    });
    const [count, sum = 0n] = values as [bigint, bigint?];
    if (schema.kind === 'histogram') {
      const bucket = Number(texts.at(-1));
      const within = sum >= count * bucketLower(bucket) && sum <= count * bucketUpper(bucket);
      assert.ok(within || isLive(probe), `${table}, bucket ${bucket}: ${count} with sum ${sum}`);
    }
    const series = found.get(JSON.stringify(labels));
    if (series) {
      series.count += count;
      series.sum += sum;
    } else found.set(JSON.stringify(labels), { labels, count, sum });
  }
  return [...found.values()];
}

/** Counts the whole host: its rows may change between the reading of two CPUs' cells. */
const isLive = (probe: LoadedProbe): boolean => probe.meta.scope === '';

/** A scoped table at rest: rows and overflow are what was seen. */
export function expectBalanced(probe: LoadedProbe): void {
  probe.meta.tables.forEach((table, number) => {
    const contents = probe.read(undefined, number);
    assert.equal(total(contents), contents.seen, `${table.name}: seen = rows + overflow`);
    assert.deepEqual(contents.failed, [0n, 0n, 0n, 0n], `${table.name}: nothing failed`);
  });
}

/** Count and sum of the rows with these labels. */
export function sumOf(rows: readonly Labelled[], labels: Readonly<Record<string, string>>): Labelled {
  const of = rows.filter((row) => Object.entries(labels).every(([name, value]) => row.labels[name] === value));
  return {
    labels,
    count: of.reduce((sum, row) => sum + row.count, 0n),
    sum: of.reduce((sum, row) => sum + row.sum, 0n),
  };
}
