/** The keeper's protocol: whatever is sent, each line has one reply, and only the keeper's own user may end counting. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRequest, replyTo } from '../../services/loader/keeper/protocol.ts';
import type { Request } from '../../services/loader/keeper/protocol.ts';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { LineCutter } from '../../services/shared/runtime/line-cutter.ts';

const uuid = '0123456789abcdef0123456789abcdef';
const good: Request[] = [
  { op: 'status' },
  { op: 'detach' },
  { op: 'detach', probe: 'syscalls' },
  { op: 'remove' },
  { op: 'load', object: 'syscalls' },
  { op: 'load', object: '/tmp/a.bpf.o', rows: { a: 5 }, replace: true },
  { op: 'unload', probe: 'syscalls' },
  { op: 'retire', probe: 'syscalls', uuid },
  { op: 'statistics', seconds: 0.5 },
  { op: 'symbols', kind: 'kernel', addresses: ['ffffffff81000000', '0x0'] },
  { op: 'symbols', kind: 'user', pid: 1, addresses: [] },
];

test('every request is read as it was meant', () => {
  for (const request of good) assert.deepEqual(parseRequest(JSON.stringify({ id: 7, ...request })), { id: 7, request });
});

test('what would leave the pin root, last for ever or flood is refused', () => {
  const bad: object[] = [
    { op: 'retire', probe: '../x', uuid },
    { op: 'retire', probe: 'a', uuid: '..' },
    { op: 'detach', probe: 'a/b' },
    { op: 'statistics', seconds: 1e9 },
    { op: 'statistics', seconds: -1 },
    { op: 'symbols', kind: 'kernel', addresses: Array.from({ length: 5000 }, () => '0') },
    { op: 'symbols', kind: 'kernel', addresses: ['xyz'] },
    { op: 'symbols', kind: 'user', addresses: [] },
    { op: 'load', object: 'relative/a.bpf.o' },
    { op: 'load', object: '../a' },
    { op: 'load', object: `/${'x'.repeat(5000)}` },
    { op: 'load', object: 'a', rows: { 'A/B': 5 } },
    { op: 'load', object: 'a', rows: { a: -5 } },
    { op: 'unload' },
    { op: 'unload', probe: '..' },
    { op: 'unlink' },
    {},
  ];
  for (const request of bad)
    assert.ok(
      parseRequest(JSON.stringify({ id: 1, ...request })).request instanceof MusterError,
      JSON.stringify(request),
    );
});

test('any text gets one line of JSON back, with the id where there is one', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.constantFrom(...good).map((r) => JSON.stringify({ id: 'a', ...r })),
      ),
      async (line) => {
        const reply = await replyTo(line, 0, 0, () => Promise.resolve({ done: 1 }));
        assert.ok(reply.endsWith('\n') && !reply.slice(0, -1).includes('\n'));
        const value = JSON.parse(reply) as { id: unknown; ok: unknown };
        assert.equal(typeof value.ok, 'boolean');
        assert.ok(value.id === null || ['string', 'number'].includes(typeof value.id));
      },
    ),
    { numRuns: 300 },
  );
});

test('what begins, ends or removes counting is for root and the keeper’s own user', async () => {
  const requests = [{ op: 'detach' }, { op: 'remove' }, { op: 'load', object: 'a' }, { op: 'unload', probe: 'a' }];
  for (const request of requests) {
    const { op } = request;
    const line = JSON.stringify({ id: 1, ...request });
    for (const [uid, ok] of [
      [0, true],
      [500, true],
      [65534, false],
      [undefined, false],
    ] as const) {
      const reply = JSON.parse(await replyTo(line, uid, 500, () => Promise.resolve({}))) as { ok: boolean };
      assert.equal(reply.ok, ok, `${op} by ${uid}`);
    }
  }
  const status = JSON.parse(await replyTo('{"id":1,"op":"status"}', 65534, 0, () => Promise.resolve({}))) as {
    ok: boolean;
  };
  assert.equal(status.ok, true);
});

test('an answer that fails is an error reply', async () => {
  const reply = await replyTo('{"id":1,"op":"status"}', 0, 0, () => Promise.reject(new Error('broken')));
  assert.deepEqual(JSON.parse(reply), {
    id: 1,
    ok: false,
    error: {
      code: 'keeper/refused',
      message: 'status: broken (the keeper does not allow this request)',
      what: 'status: broken',
      why: 'broken',
      fix: 'the keeper does not allow this request',
    },
  });
});

test('lines come out the same however the stream was cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 20 }).filter((s) => !s.includes('\n') && s.trim() !== '')),
      fc.array(fc.nat({ max: 9 }), { minLength: 1 }),
      (lines, cuts) => {
        const text = lines.map((l) => `${l}\n`).join('');
        const cutter = new LineCutter(100);
        const out: string[] = [];
        for (let at = 0, i = 0; at < text.length; i++) {
          const size = cuts[i % cuts.length]! + 1;
          out.push(...cutter.push(text.slice(at, at + size))!);
          at += size;
        }
        assert.deepEqual(out, lines);
      },
    ),
  );
});

test('a line without end is given up', () => {
  const cutter = new LineCutter(100);
  assert.deepEqual(cutter.push('x'.repeat(60)), []);
  assert.equal(cutter.push('x'.repeat(60)), undefined);
  assert.equal(new LineCutter(100).push(`${'x'.repeat(101)}\n`), undefined);
});
