/** Key bytes to text, for every meaning: what callers read, and that nothing two keys differ in is lost on the way. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeLabels, decodersOf, meanings } from '../../services/agent/labels/decoders.ts';
import { truncateUtf8, utf8Bytes } from '../../services/agent/labels/truncate.ts';
import type { LabelSchema } from '../../services/shared/contract/lineage.ts';

const decode = (label: Omit<LabelSchema, 'name' | 'offset'>, bytes: ArrayLike<number>, machine = 'x86_64'): string => {
  // The key stands at some offset of a larger buffer, as in the agent.
  const offset = 8;
  const keys = new Uint8Array(24 + label.size);
  keys.set(Uint8Array.from(bytes), 16 + offset);
  const schema = { name: 'x', offset, ...label };
  return decodeLabels(decodersOf([schema], { machine }), new DataView(keys.buffer), 16)[0]!;
};
const word = (value: bigint, size = 8): number[] =>
  Array.from({ length: size }, (_, i) => Number((BigInt.asUintN(64, value) >> BigInt(8 * i)) & 0xffn));
const text = (s: string): number[] => [...Buffer.from(s)];

const cases: readonly (readonly [meaning: string, size: number, value: bigint, expected: string, machine?: string])[] =
  [
    ['u64', 8, 0n, '0'],
    ['u64', 8, 2n ** 64n - 1n, '18446744073709551615'],
    ['u64', 8, 2n ** 53n + 1n, '9007199254740993'],
    ['u64', 4, 2n ** 32n - 1n, '4294967295'],
    ['u64', 2, 65535n, '65535'],
    ['u64', 1, 255n, '255'],
    ['s64', 8, -1n, '-1'],
    ['s64', 8, -(2n ** 63n), '-9223372036854775808'],
    ['s64', 8, 2n ** 63n - 1n, '9223372036854775807'],
    ['s64', 4, -5n, '-5'],
    ['s64', 2, -5n, '-5'],
    ['s64', 1, -5n, '-5'],
    ['bucket', 8, 495n, '495'],
    ['syscall', 8, 0n, 'read'],
    ['syscall', 8, 110n, 'getppid'],
    ['syscall', 8, 334n, 'rseq'],
    ['syscall', 8, 336n, 'uprobe'],
    ['syscall', 8, 450n, 'set_mempolicy_home_node'],
    ['syscall', 8, 462n, 'mseal'],
    ['syscall', 8, 467n, 'open_tree_attr'],
    ['syscall', 8, 469n, 'file_setattr'],
    ['syscall', 8, 512n, 'syscall_512'],
    ['syscall', 8, 400n, 'syscall_400'],
    ['syscall', 8, -1n, 'syscall_-1'],
    ['syscall', 8, 0x80000014n, 'i386:getpid'],
    ['syscall', 4, 0x80000014n, 'i386:getpid'],
    ['syscall', 8, 0x800003e7n, 'i386:syscall_999'],
    ['syscall', 8, 0x40000000n, 'x32:read'],
    ['syscall', 4, -1n, 'syscall_-1'],
    ['syscall', 8, 2n ** 40n, 'syscall_1099511627776'],
    ['syscall', 8, 172n, 'getpid', 'aarch64'],
    ['syscall', 8, 453n, 'map_shadow_stack', 'aarch64'],
    ['syscall', 8, 335n, 'syscall_335', 'aarch64'],
    ['syscall', 8, 1n, 'syscall_1', 'riscv64'],
    ['errno', 8, 2n, 'ENOENT'],
    ['errno', 8, -2n, 'ENOENT'],
    ['errno', 4, -110n, 'ETIMEDOUT'],
    ['errno', 8, 0n, '0'],
    ['errno', 8, 4095n, '4095'],
    ['signal', 8, 9n, 'SIGKILL'],
    ['signal', 4, 34n, 'SIGRT34'],
    ['signal', 8, 0n, '0'],
    ['signal', 8, 99n, '99'],
    ['a meaning of tomorrow', 8, 7n, '7'],
  ];

for (const [meaning, size, value, expected, machine] of cases) {
  test(`${meaning}: ${value} in ${size} bytes${machine ? ` on ${machine}` : ''} is ${expected}`, () => {
    assert.equal(decode({ meaning, size }, word(value, size), machine), expected);
  });
}

test('an enum shows the names of its BTF, and numbers without one', () => {
  const names = { '0': 'ZERO', '-1': 'MINUS' };
  assert.equal(decode({ meaning: 'enum', size: 4, names }, word(0n, 4)), 'ZERO');
  assert.equal(decode({ meaning: 'enum', size: 4, names }, word(-1n, 4)), 'MINUS');
  assert.equal(decode({ meaning: 'enum', size: 4, names }, word(5n, 4)), '5');
});

test('an unknown meaning longer than a word is shown in hexadecimal', () => {
  assert.equal(
    decode(
      { meaning: 'new', size: 16 },
      Array.from({ length: 16 }, (_, i) => i),
    ),
    '0x0f0e0d0c0b0a09080706050403020100',
  );
});

const comm = (bytes: ArrayLike<number>): string => decode({ meaning: 'comm', size: 16 }, bytes);

test('comm: up to the first NUL, UTF-8 kept, everything else escaped', () => {
  assert.equal(comm(text('nginx')), 'nginx');
  assert.equal(comm([]), '');
  assert.equal(comm(text('0123456789abcdef')), '0123456789abcdef', 'all 16 bytes, no NUL');
  assert.equal(comm([...text('a'), 0, ...text('rest')]), 'a');
  assert.equal(comm(text('größe😀')), 'größe😀');
  assert.equal(comm(text('a\\b')), 'a\\\\b');
  assert.equal(comm([0x61, 0xff, 0x62]), 'a\\xffb');
  assert.equal(comm(text('tab\there')), 'tab\\x09here');
  assert.equal(comm([...text('cut'), 0xe2, 0x82]), 'cut\\xe2\\x82', 'a character cut off by the end');
  assert.equal(comm([0xed, 0xa0, 0x80]), '\\xed\\xa0\\x80', 'a surrogate is not UTF-8');
  assert.equal(comm([0xc0, 0xaf]), '\\xc0\\xaf', 'nor is an overlong form');
  assert.equal(comm(text('\u202egnp')), '\\xe2\\x80\\xaegnp', 'what turns the direction of writing is shown');
});

test('comm: the escapes can be undone, so that two names never decode alike', () => {
  const undo = (shown: string): Buffer => {
    const parts = shown.match(/\\\\|\\x[0-9a-f]{2}|[^\\]/gsu) ?? [];
    return Buffer.concat(
      parts.map((p) =>
        p === '\\\\'
          ? Buffer.from('\\')
          : p.startsWith('\\x')
            ? Buffer.from([parseInt(p.slice(2), 16)])
            : Buffer.from(p),
      ),
    );
  };
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 16 }),
    fc.string({ unit: 'binary', maxLength: 8 }).map((s) => new Uint8Array(Buffer.from(s)).subarray(0, 16)),
  );
  fc.assert(
    fc.property(bytes, (name) => {
      const end = name.indexOf(0);
      assert.deepEqual(undo(comm(name)), Buffer.from(end < 0 ? name : name.subarray(0, end)));
    }),
    { numRuns: 2000 },
  );
});

test('every meaning decodes any bytes of any size without failing', () => {
  for (const meaning of [...meanings.keys(), 'unknown']) {
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 4, 8, 16), fc.uint8Array({ minLength: 16, maxLength: 16 }), (size, bytes) => {
        if (size === 16 && !['comm', 'u64', 'unknown', 's64', 'bucket'].includes(meaning)) return;
        assert.equal(typeof decode({ meaning, size }, bytes.subarray(0, size)), 'string');
      }),
      { numRuns: 100 },
    );
  }
});

test('text is cut at a number of bytes and never within a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(60), (s, max) => {
      const cut = truncateUtf8(s, max);
      assert.ok(s.startsWith(cut), 'a prefix');
      assert.ok(Buffer.byteLength(cut) <= max, 'within the limit');
      assert.equal(utf8Bytes(s), Buffer.byteLength(s));
      const next = [...s.slice(cut.length)][0];
      assert.ok(next === undefined || Buffer.byteLength(cut + next) > max, 'as much as fits');
    }),
  );
});
