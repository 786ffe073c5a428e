/** What a label shows when it may not show all: never the text itself, always the same for the same. */
import test from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeLabels, decodersOf, meanings } from '../../services/agent/labels/decoders.ts';
import type { Hiding } from '../../services/agent/config.ts';
import { hidden, parseHiding } from '../../services/agent/labels/privacy.ts';
import { keyedDigest } from '../../services/agent/adapters/keyed-digest.ts';

const known = (meaning: string): boolean => meanings.has(meaning);
const labels = [
  { name: 'comm', meaning: 'comm', offset: 0, size: 16 },
  { name: 'peer', meaning: 'ipv4', offset: 16, size: 8 },
];
const digest = keyedDigest(Buffer.from('0123456789abcdef'));
const key = (comm: string, address: readonly number[]): DataView => {
  const bytes = new Uint8Array(24);
  new TextEncoder().encodeInto(comm, bytes.subarray(0, 16));
  bytes.set(address, 16);
  return new DataView(bytes.buffer);
};
const shown = (rules: ReadonlyMap<string, Hiding>, view: DataView): string[] =>
  decodeLabels(decodersOf(labels, { machine: 'x86_64', privacy: { rules, digest } }), view, 0);
const rulesOf = (text: string): Map<string, Hiding> => {
  const parsed = parseHiding(text, known);
  assert.ok(typeof parsed !== 'string', String(parsed));
  return parsed;
};

test('each rule changes its own meaning alone', () => {
  const view = key('secret-tool', [192, 0, 2, 7]);
  assert.deepEqual(shown(rulesOf(''), view), ['secret-tool', '192.0.2.7']);
  assert.deepEqual(shown(rulesOf('ipv4=off'), view), ['secret-tool', hidden]);
  assert.deepEqual(shown(rulesOf('comm=3'), view), ['sec', '192.0.2.7']);
  const [comm, peer] = shown(rulesOf('ipv4=hash'), view);
  assert.equal(comm, 'secret-tool');
  assert.match(peer!, /^[0-9a-f]{16}$/);
});

test('a hash tells texts apart, is the same on every host with the key, and another with another key', () => {
  const address = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(address, address, (a, b) => {
      const [first, second] = [a, b].map((x) => shown(rulesOf('ipv4=hash'), key('c', x))[1]!);
      assert.equal(first === second, a.join() === b.join());
      assert.equal(first, keyedDigest(Buffer.from('0123456789abcdef'))(a.join('.')));
      assert.notEqual(first, keyedDigest(Buffer.from('another key 1234'))(a.join('.')));
    }),
  );
});

test('a cut halves no character', () => {
  assert.deepEqual(shown(rulesOf('comm=2'), key('é😀x', [0, 0, 0, 0]))[0], 'é😀');
});

test('what is no rule is refused, by name', () => {
  assert.match(String(parseHiding('ipv4', known)), /"ipv4" is not MEANING=off/);
  assert.match(String(parseHiding('ipv5=off', known)), /no label has the meaning "ipv5"/);
  assert.match(String(parseHiding('bucket=off', known)), /no label has the meaning "bucket"/);
});
