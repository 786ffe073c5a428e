/** Whatever happened to an object file, reading it ends: with a specification or with MusterError, and soon. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { readBtf, resolve, sizeOf } from '../../services/loader/object/btf.ts';
import { readObject } from '../../services/loader/object/object.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';

const good = ['syscalls', 'runqueue'].map((name) =>
  readFileSync(join(import.meta.dirname, `../../build/bpf/${name}.bpf.o`)),
);

function survives(act: () => unknown): boolean {
  try {
    act();
  } catch (error) {
    if (!(error instanceof MusterError)) throw error;
  }
  return true;
}

test('cut at any length', () => {
  fc.assert(
    fc.property(fc.constantFrom(...good), fc.double({ min: 0, max: 1, noNaN: true }), (bytes, part) =>
      survives(() => readObject(bytes.subarray(0, Math.floor(bytes.length * part)))),
    ),
    { numRuns: 200 },
  );
});

test('with bytes overwritten anywhere', () => {
  const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.constantFrom(...good), fc.array(change, { minLength: 1, maxLength: 20 }), (bytes, changes) => {
      const broken = new Uint8Array(bytes);
      for (const [at, value] of changes) broken[at % broken.length] = value;
      return survives(() => readObject(broken));
    }),
    { numRuns: 500 },
  );
});

test('with 32-bit words of the headers and types made extreme', () => {
  const word = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8);
  fc.assert(
    fc.property(
      fc.constantFrom(...good),
      fc.array(fc.tuple(fc.nat(), word), { minLength: 1, maxLength: 4 }),
      (bytes, changes) => {
        const broken = new Uint8Array(bytes);
        const view = new DataView(broken.buffer);
        for (const [at, value] of changes) view.setUint32((at % Math.floor(broken.length / 4)) * 4, value, true);
        return survives(() => readObject(broken));
      },
    ),
    { numRuns: 500 },
  );
});

test('types that refer to each other in circles, or to none', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(2, 3, 8, 9, 10, 11, 4, 14), fc.nat({ max: 12 })), {
        minLength: 1,
        maxLength: 10,
      }),
      (kinds) => {
        const btf = readBtf(btfOf(kinds));
        return btf.every((_, id) => survives(() => resolve(btf, id)) && survives(() => sizeOf(btf, id)));
      },
    ),
    { numRuns: 500 },
  );
});

/** BTF of nameless types: kind and the type each refers to. */
function btfOf(kinds: readonly (readonly [number, number])[]): Uint8Array {
  const words: number[] = [];
  for (const [kind, type] of kinds) {
    const members = kind === 4 ? 1 : 0;
    words.push(0, (kind << 24) | members, type);
    if (kind === 3) words.push(type, 1, 4);
    if (kind === 4) words.push(0, type, 0);
    if (kind === 14) words.push(0);
  }
  const bytes = new Uint8Array(24 + words.length * 4 + 1);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  bytes[2] = 1;
  [24, 0, words.length * 4, words.length * 4, 1].forEach((value, i) => view.setUint32(4 + i * 4, value, true));
  words.forEach((value, i) => view.setUint32(24 + i * 4, value, true));
  return bytes;
}
