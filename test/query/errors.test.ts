/** The table of errors: each bad request has its code, a message with the fix, and details that name the field. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Query, finish } from '../../services/query/query.ts';
import { statusOf } from '../../services/query/status.ts';
import type { MethodName, RequestOf } from '../../services/shared/contract/query.ts';
import {
  decodeRpcStatus,
  encodeRpcStatus,
  rpcCodes,
  type RpcCode,
  type RpcStatus,
} from '../../services/shared/contract/rpc-status.ts';
import { errorCodes, MusterError } from '../../services/shared/runtime/errors.ts';
import { fleetOf, nowMs, observed, runqueue, syscalls } from './checkpoints.ts';
import { blank } from './ask.ts';

const made = fleetOf([
  {
    host: 'web-1',
    labels: { role: 'web' },
    tables: [
      { schema: syscalls, rows: [{ labels: ['read', 'nginx'], values: [1n] }] },
      { schema: runqueue, rows: observed('x', [1n]) },
    ],
  },
  { host: 'idle', tables: [{ schema: runqueue, rows: [] }] },
]);
const fleet = { ...made, state: 'the state of these tests' };
const at = (ms: number) => ({ seconds: String(Math.floor(ms / 1000)), nanos: 0 });

function statusFor<M extends MethodName>(method: M, request: object): RpcStatus {
  const core = new Query();
  const asked = { ...blank, ...request } as unknown as RequestOf<M>;
  try {
    core.kept(method, asked);
    core.needOf(method, asked, fleet, nowMs);
    finish(core.answer(method, asked, fleet, nowMs));
  } catch (error) {
    return statusOf(error);
  }
  return assert.fail(`${method} ${JSON.stringify(request)} was answered`);
}

const cases: readonly (readonly [MethodName, object, RpcCode, RegExp, string?])[] = [
  ['Query', { metric: 'syscals' }, 'NOT_FOUND', /unknown metric "syscals"; did you mean "syscalls"\?/],
  ['Query', { metric: 'zzzzzzzzz' }, 'NOT_FOUND', /see FleetService\/ListMetrics/],
  ['Query', { selector: 'comm=nginx' }, 'INVALID_ARGUMENT', /column 6: expected a value in quotes/, 'selector'],
  ['Query', { selector: 'comm=~"("' }, 'INVALID_ARGUMENT', /column 7: not an RE2/, 'selector'],
  [
    'Query',
    { selector: 'role="web",com="x"' },
    'INVALID_ARGUMENT',
    /unknown label "com" in selector; did you mean "comm"\? the labels are syscall, comm, host, role/,
    'selector',
  ],
  [
    'Query',
    { groupBy: ['pid'] },
    'INVALID_ARGUMENT',
    /unknown label "pid" in group_by.*syscall, comm, host, role/,
    'group_by',
  ],
  ['Query', { range: '5' }, 'INVALID_ARGUMENT', /"5" has no unit; did you mean "5s"\?/, 'range'],
  [
    'Query',
    { range: 'yesterday' },
    'INVALID_ARGUMENT',
    /is not a length of time; write a number with s, m or h, e.g. "5m", or "all"/,
    'range',
  ],
  ['Query', { range: '5x' }, 'INVALID_ARGUMENT', /unknown unit x/, 'range'],
  ['Query', { range: '5m', startTime: at(nowMs - 9000) }, 'INVALID_ARGUMENT', /together with start_time/, 'range'],
  ['Query', { endTime: at(nowMs) }, 'INVALID_ARGUMENT', /missing; give start_time too/, 'start_time'],
  [
    'Query',
    { startTime: at(nowMs), endTime: at(nowMs - 20_000) },
    'INVALID_ARGUMENT',
    /not after start_time/,
    'end_time',
  ],
  ['Query', { startTime: at(nowMs + 60_000) }, 'INVALID_ARGUMENT', /in the future/, 'start_time'],
  [
    'Query',
    { range: '2h' },
    'OUT_OF_RANGE',
    /begins before the oldest window kept; ask from 2026-01-31T11:00:10Z on, or for range "all"/,
    'range',
  ],
  ['Query', { startTime: at(nowMs - 7_200_000) }, 'OUT_OF_RANGE', /oldest window/, 'start_time'],
  ['Query', { orderBy: 'valu' }, 'INVALID_ARGUMENT', /did you mean "value"\?/, 'order_by'],
  ['Query', { pageSize: 5000 }, 'INVALID_ARGUMENT', /give 1 to 1000/, 'page_size'],
  ['Query', { pageSize: -1 }, 'INVALID_ARGUMENT', /not between 0 and 1000/, 'page_size'],
  ['Query', { pageToken: 'nonsense' }, 'INVALID_ARGUMENT', /not a token of this service/, 'page_token'],
  ['Query', { selector: 'host="web-2"' }, 'NOT_FOUND', /unknown host "web-2"; did you mean "web-1"\?/],
  [
    'Query',
    { metric: 'syscalls', selector: 'host="idle"' },
    'FAILED_PRECONDITION',
    /host "idle" does not count "syscalls": its probe syscalls is not loaded/,
  ],
  ['QueryRange', { range: 'all' }, 'INVALID_ARGUMENT', /"all" has no points/, 'range'],
  ['QueryRange', { step: '15s' }, 'INVALID_ARGUMENT', /not a multiple of 10s; did you mean "20s"\?/, 'step'],
  [
    'QueryHistogram',
    { metric: 'syscalls' },
    'INVALID_ARGUMENT',
    /is a counter, not a histogram; did you mean "runqueue"\?/,
    'metric',
  ],
  ['QueryHistogram', { quantiles: [99] }, 'INVALID_ARGUMENT', /99 is not between 0 and 1/, 'quantiles'],
  ['QueryHistogram', { quantiles: [NaN] }, 'INVALID_ARGUMENT', /NaN/, 'quantiles'],
  ['ListLabelValues', { label: 'pid' }, 'INVALID_ARGUMENT', /unknown label "pid" in label/, 'label'],
  ['ListHosts', { selector: 'comm="x"' }, 'INVALID_ARGUMENT', /unknown label "comm".*host, role/, 'selector'],
  ['GetHost', { host: 'web-9' }, 'NOT_FOUND', /unknown host "web-9"/],
  ['GetHost', {}, 'INVALID_ARGUMENT', /no host given, and there are 2/, 'host'],
  ['GetLedger', { metric: 'nothing' }, 'NOT_FOUND', /unknown metric "nothing"/],
];

test('each bad request has its code, its fix and the field at fault', () => {
  for (const [method, request, code, message, field] of cases) {
    const status = statusFor(method, request);
    const name = `${method} ${JSON.stringify(request)}: ${status.code} ${status.message}`;
    assert.equal(status.code, code, name);
    assert.match(status.message, message, name);
    assert.match(status.message, /; /, `${name}: no fix`);
    assert.notEqual(status.reason, '', name);
    if (field) assert.equal(status.violations[0]?.field, field, name);
  }
});

test('a token of another request is refused, one of another state must start again', () => {
  const core = new Query();
  const request = { ...blank, groupBy: ['host', 'comm'], range: 'all', pageSize: 1, metric: 'runqueue' };
  const wide = fleetOf(['a', 'b'].map((host) => ({ host, tables: [{ schema: runqueue, rows: observed('x', [1n]) }] })));
  const { nextPageToken: pageToken } = finish(core.answer('Query', request as never, wide, nowMs));
  assert.notEqual(pageToken, '');
  assert.match(statusFor('Query', { ...request, pageToken, range: '5m' }).message, /continues another request/);
  assert.equal(statusFor('Query', { ...request, pageToken }).code, 'ABORTED');
  assert.match(statusFor('Query', { ...request, pageToken }).message, /start again without page_token/);
  assert.equal(core.kept('Query', { ...request, pageToken } as never)!.rows.length, 1);
});

test('every operational error has a status; those of the store say when to try again', () => {
  for (const code of errorCodes) {
    const status = statusOf(new MusterError(code, 'read heads: no answer'));
    assert.ok(rpcCodes[status.code] > 0, code);
    if (status.code === 'UNAVAILABLE') assert.equal(status.retryAfterMs, 1000, code);
  }
  assert.equal(statusOf(new MusterError('store/unreachable', 'x')).code, 'UNAVAILABLE');
  const internal = statusOf(new TypeError('secret'));
  assert.equal(internal.code, 'INTERNAL');
  assert.ok(!internal.message.includes('secret'));
});

test('details survive the trailer; broken ones do no harm', () => {
  const status: RpcStatus = {
    code: 'UNAVAILABLE',
    message: 'm',
    reason: 'R',
    metadata: { a: 'b' },
    violations: [{ field: 'f', description: 'd' }],
    retryAfterMs: 1500,
  };
  assert.deepEqual(decodeRpcStatus(14, 'm', encodeRpcStatus(status)), status);
  assert.equal(decodeRpcStatus(14, 'm', Uint8Array.of(255, 1, 2)).code, 'UNAVAILABLE');
  assert.equal(decodeRpcStatus(99, 'm', undefined).code, 'UNKNOWN');
});
