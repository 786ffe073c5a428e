/** Captured stacks: bytes to frames to text, whatever they hold. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readStack, stackBytes, stackText } from '../../services/loader/object/stack.ts';

test('frames are read as the kernel has them, an address without a file as one', () => {
  const bytes = Buffer.alloc(stackBytes);
  bytes.writeBigUInt64LE(96n, 0);
  bytes.writeBigUInt64LE(8n, 8);
  bytes.writeInt32LE(1, 16);
  bytes.fill(0xab, 20, 40);
  bytes.writeBigUInt64LE(0x1234n, 40);
  bytes.writeInt32LE(2, 48);
  bytes.writeBigUInt64LE(0x7f00n, 72);
  bytes.writeInt32LE(1, 80);
  bytes.writeBigUInt64LE(2n ** 64n - 5n, 104);
  bytes.writeBigUInt64LE(0xffffffff81000000n, 16 + 64 * 32);
  assert.deepEqual(readStack(bytes), {
    user: [
      { build: 'ab'.repeat(20), offset: 0x1234n },
      { build: undefined, offset: 0x7f00n },
      { build: undefined, offset: 2n ** 64n - 5n },
    ],
    kernel: [0xffffffff81000000n],
  });
});

test('any bytes are some stack', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: stackBytes, maxLength: stackBytes }), (bytes) => {
      const { user, kernel } = readStack(Buffer.from(bytes));
      assert.ok(user.length <= 64 && kernel.length <= 48);
    }),
    { numRuns: 50 },
  );
});

test('the text is outermost first, without the program that looked and what called it', () => {
  const kernel = ['0xffffffffc0001000', 'bpf_trace_run4', '__traceiter_sched_switch', '__schedule', 'do_nanosleep'];
  assert.equal(stackText(['nap', 'main'], kernel), 'main;nap;do_nanosleep_[k];__schedule_[k]');
  assert.equal(stackText(['operator new; x'], []), 'operator_new__x');
  assert.equal(stackText([], []), '');
});

test('what is too long loses its outermost frames, and says so', () => {
  const text = stackText(
    Array.from({ length: 200 }, (_, i) => `${'f'.repeat(60)}${i}`),
    [],
  );
  assert.ok(Buffer.byteLength(text) <= 4096);
  assert.match(text, /^\[cut\];f+\d+;.*;f{60}0$/);
});
