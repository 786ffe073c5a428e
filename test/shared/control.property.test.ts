/** The control word: every state survives one u64, and what no Muster writes is refused. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  clockWord,
  controlWords,
  decodeControl,
  encodeControl,
  retiredWords,
  slotStates,
  scaleWord,
  tablesMax,
} from '../../services/shared/contract/control.ts';

test('a control word survives', () => {
  const control = fc.record(
    {
      slot: fc.constantFrom<0 | 1>(0, 1),
      state: fc.constantFrom(...slotStates),
      generation: fc.oneof(fc.bigInt({ min: 1n, max: (1n << 56n) - 1n }), fc.constantFrom(1n, (1n << 56n) - 1n)),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(control, (c) => {
      const word = encodeControl(c);
      assert.ok(word < 1n << 64n);
      assert.equal(Number(word & 1n), c.slot, 'programs read bit 0 alone');
      assert.deepEqual(decodeControl(word), c);
    }),
  );
});

test('any word decodes to what encodes to it, or to nothing', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (word) => {
      const c = decodeControl(word);
      if (c) assert.equal(encodeControl(c), word);
    }),
  );
  for (const word of [0n, 1n, 0xffn, (1n << 8n) | (4n << 1n), (1n << 8n) | (0x7fn << 1n)])
    assert.equal(decodeControl(word), undefined, String(word));
});

test('a fresh lineage counts in slot 0, generation 1', () => {
  assert.deepEqual(decodeControl(1n << 8n), { slot: 0, state: 'counting', generation: 1n });
});

test('the retired records lie beside the control word and not over each other', () => {
  assert.equal(retiredWords * 3, controlWords);
  assert.equal(scaleWord + tablesMax, clockWord);
  assert.equal(clockWord + 1, retiredWords);
  assert.ok(tablesMax < retiredWords);
});
