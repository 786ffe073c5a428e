/** Sums of windows: whatever came, went and grew, the sum made from the one before it is the sum made from nothing. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sumWindows, type WindowBlob, type WindowSum } from '../../services/query/checkpoint/window-sums.ts';
import { finish } from '../../services/query/query.ts';
import { nothingSampled } from '../../services/shared/algebra/sampling.ts';
import { toBigInt } from '../../services/shared/algebra/limbs.ts';

const hosts = ['a', 'b', 'c'];
const counter = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

const host = fc.record({
  host: fc.constantFrom(...hosts),
  rows: fc.uniqueArray(fc.tuple(fc.nat(20), counter, counter), {
    selector: ([s]) => s,
    maxLength: 8,
  }),
  seen: fc.bigInt({ min: 0n, max: 2n ** 60n }),
  given: fc.option(fc.bigInt({ min: 0n, max: 2n ** 60n }), { nil: undefined }),
  fromMs: fc.nat(1000),
});
const hostsOfWindow = fc.uniqueArray(host, { selector: (h) => h.host, maxLength: 3 });
/** Windows by start; each step replaces or drops some. */
const change = fc.array(fc.tuple(fc.nat(5), fc.option(hostsOfWindow, { nil: undefined })), { maxLength: 4 });

let digests = 0;
type Contents = typeof host extends fc.Arbitrary<infer T> ? readonly T[] : never;
function blobOf(start: number, contents: Contents): WindowBlob {
  const startMs = start * 10_000;
  return {
    text: `window/10s/${startMs}/t`,
    digest: String(++digests),
    window: {
      startMs,
      lengthMs: 10_000,
      hosts: contents.map(({ host, rows, seen, given, fromMs }) => {
        const sorted = [...rows].sort(([a], [b]) => a - b);
        return {
          host,
          increments: {
            count: sorted.length,
            valueCount: 2,
            series: Uint32Array.from(sorted, ([s]) => s),
            values: Uint32Array.from(
              [...sorted.map(([, v]) => v), ...sorted.map(([, , v]) => v)].flatMap((v) => [
                Number(v & 0xffffffffn),
                Number(v >> 32n),
              ]),
            ),
          },
          seen,
          failed: seen % 7n,
          skipped: seen % 5n,
          sampled: given === undefined ? undefined : { ...nothingSampled, seen, given, weightMax: (given % 9n) + 2n },
          fromMs: startMs + fromMs,
          toMs: startMs + fromMs,
        };
      }),
    },
  };
}

const shown = (sum: WindowSum): unknown =>
  [...sum.hosts]
    .map(([name, { startMs, values }]) => {
      const { count, values: limbs } = values.increments;
      const rows = Array.from({ length: count * 2 }, (_, at) => toBigInt(limbs, at * 2)).map(
        (v, at) => `${at % count}.${Math.floor(at / count)}=${v}`,
      );
      const { increments: _, ...rest } = values;
      return { name, startMs, rows: rows.filter((r) => !r.endsWith('=0')), ...rest };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));

test('a sum made from an older one is the sum of its windows', () => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.boolean(), (steps, keeps) => {
      const windows = new Map<number, WindowBlob>();
      const ever = new Map<string, WindowBlob>();
      const sums: WindowSum[] = [];
      for (const step of steps) {
        for (const [start, contents] of step) {
          if (contents) windows.set(start, blobOf(start, contents));
          else windows.delete(start);
        }
        const blobs = [...windows.values()];
        for (const b of blobs) ever.set(`${b.text} ${b.digest}`, b);
        const find = (text: string, digest: string) => (keeps ? ever.get(`${text} ${digest}`)?.window : undefined);
        const sum = finish(sumWindows(blobs, sums, find));
        assert.deepEqual(shown(sum), shown(finish(sumWindows(blobs, [], () => undefined))));
        const before = sums.map(shown);
        sums.push(sum);
        assert.deepEqual(sums.slice(0, -1).map(shown), before);
      }
    }),
  );
});
