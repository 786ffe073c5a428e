/** xxHash32 against the vectors of its reference implementation, and the partitions that hang on it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { xxh32 } from '../../services/shared/contract/checksum.ts';

const utf8 = new TextEncoder();
const prime = 0x9e3779b1;

test('texts with known hashes', () => {
  const known: [string, number, number][] = [
    ['', 0, 0x02cc5d05],
    ['', prime, 0x36b78ae7],
    ['a', 0, 0x550d7456],
    ['abc', 0, 0x32d153ff],
    ['Nobody inspects the spammish repetition', 0, 0xe2293b2f],
  ];
  for (const [text, seed, hash] of known) assert.equal(xxh32(utf8.encode(text), seed), hash, text);
});

test('the reference sanity buffer, at lengths around every branch', () => {
  const buffer = new Uint8Array(101);
  let word = prime;
  for (let i = 0; i < buffer.length; i++) {
    buffer[i] = word >>> 24;
    word = Math.imul(word, word) >>> 0;
  }
  const known: [number, number, number][] = [
    [1, 0, 0xb85cbee5],
    [1, prime, 0xd5845d64],
    [14, 0, 0xe5aa0ab4],
    [14, prime, 0x4481951d],
    [101, 0, 0x1f1aa412],
    [101, prime, 0x498ec8e2],
  ];
  for (const [length, seed, hash] of known)
    assert.equal(xxh32(buffer.subarray(0, length), seed), hash, `${length} bytes`);
});

test('a view into a larger buffer hashes like its copy', () => {
  const all = Uint8Array.from({ length: 100 }, (_, i) => i * 7);
  for (let from = 0; from < 20; from++) {
    const view = all.subarray(from, from + 37);
    assert.equal(xxh32(view), xxh32(view.slice()));
  }
});
