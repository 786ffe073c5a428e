/** The reader fetches what is needed and changed, sees each partition at one version, and bounds what it keeps. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { BlobCache } from '../../services/query/checkpoint/blob-cache.ts';
import { hostsOnly, type Need } from '../../services/query/checkpoint/need.ts';
import { FleetReader, fleetReaderLimits } from '../../services/query/fleet-reader.ts';
import { Rejected } from '../../services/query/answer/rejection.ts';
import { nowMs, syscalls, type HostFill } from './checkpoints.ts';
import { FakeReader } from './fake-reader.ts';

const host = (name: string, value: bigint): HostFill => ({
  host: name,
  tables: [{ schema: syscalls, rows: [{ labels: ['read', 'x'], values: [value] }] }],
});
const everything: Need = { key: 'everything', wants: () => true, windowsSummed: false };

function rig() {
  const port = new FakeReader();
  port.commit([host('a', 1n), host('b', 2n)]);
  let now = nowMs;
  const reader = new FleetReader(port, () => now);
  return { port, reader, pass: (ms: number) => (now += ms) };
}
const valueOf = (fleet: Awaited<ReturnType<FleetReader['load']>>, name: string): number =>
  fleet.hosts.find((h) => h.name === name)!.tables.get('syscalls')!.lasts[0]!.values.values[0]!;

/** Rows of host a: named by boot and lineage. */
const lastOfA = `last/a/${'01'.repeat(16)}${'07'.repeat(16)}/1/syscalls/0`;

test('only what is needed is fetched, and only once', async () => {
  const { port, reader, pass } = rig();
  const hosts = await reader.load(hostsOnly);
  assert.deepEqual(
    hosts.hosts.map((h) => h.name),
    ['a', 'b'],
  );
  assert.deepEqual(port.fetched.sort(), ['host/a', 'host/b']);
  await reader.load(everything);
  assert.equal(port.fetched.length, 6);
  pass(1000);
  await reader.load(everything);
  assert.equal(port.fetched.length, 6);
  port.fetched = [];
  pass(1000);
  port.commit([host('a', 9n)]);
  const fleet = await reader.load(everything);
  assert.deepEqual(port.fetched, ['host/a', lastOfA]);
  assert.equal(valueOf(fleet, 'a'), 9);
});

test('heads are read at most every quarter of a second, and shared', async () => {
  const { port, reader, pass } = rig();
  let reads = 0;
  const heads = port.heads.bind(port);
  port.heads = (p) => (reads++, heads(p));
  await Promise.all([reader.load(everything), reader.load(everything), reader.heads()]);
  assert.equal(reads, 1);
  pass(fleetReaderLimits.headsAgeMs + 1);
  await reader.load(everything);
  assert.equal(reads, 2);
});

test('a partition that moves on while it is read is taken anew, whole', async () => {
  const { port, reader } = rig();
  port.beforeBlobs = () => port.commit([host('a', 5n), host('b', 6n)]);
  const fleet = await reader.load(everything);
  assert.deepEqual([valueOf(fleet, 'a'), valueOf(fleet, 'b')].sort(), [5, 6]);
});

test('a store that is away rejects, and is asked again at once', async () => {
  const { port, reader } = rig();
  port.away = true;
  await assert.rejects(reader.load(everything), { code: 'store/unreachable' });
  port.away = false;
  assert.equal((await reader.load(everything)).hosts.length, 2);
});

test('a damaged blob is missing and named; a flushed store is empty', async () => {
  const { port, reader, pass } = rig();
  port.damaged.add(lastOfA);
  const fleet = await reader.load(everything);
  assert.equal(fleet.damaged.length, 1);
  assert.equal(fleet.hosts.find((h) => h.name === 'a')!.tables.get('syscalls')!.lasts.length, 0);
  pass(1000);
  port.partitions.clear();
  assert.deepEqual((await reader.load(everything)).hosts, []);
});

test('too much to read is refused before it is read', async () => {
  const { port } = rig();
  const reader = new FleetReader(port, () => nowMs, { ...fleetReaderLimits, scanBytes: 10 });
  await assert.rejects(
    reader.load(everything),
    (error) => error instanceof Rejected && error.rejection.kind === 'too-large',
  );
  assert.deepEqual(port.fetched, []);
});

test('what one request may read is of all partitions together', async () => {
  const { port } = rig();
  const bytes = [...port.partitions.values()].map(({ blobs }) => [...blobs.values()].reduce((n, b) => n + b.length, 0));
  assert.ok(bytes.length > 1);
  const tight = new FleetReader(port, () => nowMs, { ...fleetReaderLimits, scanBytes: Math.max(...bytes) });
  await assert.rejects(tight.load(everything), Rejected);
  const scanBytes = bytes.reduce((n, b) => n + b, 0);
  const roomy = new FleetReader(port, () => nowMs, { ...fleetReaderLimits, scanBytes });
  await roomy.load(everything);
});

test('too many texts start a new dictionary, and answers stay right', async () => {
  const { port } = rig();
  const reader = new FleetReader(port, () => nowMs, { ...fleetReaderLimits, dictionaryTexts: 1, dictionaryAgeMs: 0 });
  const first = await reader.load(everything);
  const second = await reader.load(everything);
  assert.notEqual(first.dictionary, second.dictionary);
  const page = second.hosts[0]!.tables.get('syscalls')!.pages[0]!;
  assert.deepEqual(
    page.labels.map((l) => second.dictionary.text(l[1]!)),
    ['read', 'x'],
  );
});

test('more texts than are kept do not start a new dictionary at each request', async () => {
  const { port } = rig();
  let now = nowMs;
  const limits = { ...fleetReaderLimits, dictionaryTexts: 1 };
  const reader = new FleetReader(port, () => now, limits);
  const first = await reader.load(everything);
  port.fetched = [];
  assert.equal((await reader.load(everything)).dictionary, first.dictionary);
  assert.deepEqual(port.fetched, []);
  now += limits.dictionaryAgeMs;
  assert.notEqual((await reader.load(everything)).dictionary, first.dictionary);
});

test('the cache stays within its weight, the least lately used leave', () => {
  const cache = new BlobCache(250);
  const blob = { kind: 'quarantine', weight: 100 } as const;
  for (const name of ['a', 'b']) cache.put(1, name, 'd', blob);
  assert.equal(cache.get(1, 'a', 'd'), blob);
  cache.put(1, 'c', 'd', blob);
  assert.deepEqual(
    ['a', 'b', 'c'].map((n) => cache.get(1, n, 'd') === blob),
    [true, false, true],
  );
  assert.equal(cache.get(1, 'a', 'other'), undefined);
  assert.ok(cache.weight <= 250);
});

test('a store that was set back is followed, though its version is lower than the last one seen', async () => {
  const { port, reader, pass } = rig();
  const older = new Map(port.partitions);
  for (let value = 10n; value < 20n; value++) port.commit([host('a', value)]);
  assert.equal(valueOf(await reader.load(everything), 'a'), 19);
  port.partitions.clear();
  for (const [partition, held] of older) port.partitions.set(partition, held);
  pass(1000);
  assert.equal(valueOf(await reader.load(everything), 'a'), 1);
  // What another aggregator commits from there on has numbers that were seen before.
  port.nonce = 'other';
  port.commit([host('a', 30n)]);
  pass(1000);
  assert.equal(valueOf(await reader.load(everything), 'a'), 30);
});

test('what is refreshed is ready: a request reads nothing, and one of an older state is never told a newer one', async () => {
  const { port, reader, pass } = rig();
  assert.equal(valueOf(await reader.load(everything), 'a'), 1);
  port.commit([host('a', 5n)]);
  pass(fleetReaderLimits.headsAgeMs + 1);
  await reader.refresh([everything]);
  port.fetched = [];
  const state = await reader.state();
  port.commit([host('a', 6n)]);
  // Held for less than a second: neither heads nor blobs are asked for.
  pass(fleetReaderLimits.refreshAgeMs - 1);
  port.away = true;
  const fleet = await reader.load(everything);
  assert.deepEqual([valueOf(fleet, 'a'), port.fetched], [5, []]);
  assert.equal(fleet.state, state);
  assert.equal(await reader.load(everything), fleet);
  // Nobody refreshes any more: the request reads by itself.
  pass(2);
  await assert.rejects(reader.load(everything), { code: 'store/unreachable' });
  port.away = false;
  assert.equal(valueOf(await reader.load(everything), 'a'), 6);
});

test('a dictionary that begins while a partition is made ready leaves nothing of the old one behind', async () => {
  const port = new FakeReader();
  const made = (host: string, ...labels: string[]): HostFill => ({
    host,
    tables: [{ schema: syscalls, rows: [{ labels, values: [1n] }] }],
  });
  let now = nowMs;
  let busy = false;
  const limits = { ...fleetReaderLimits, dictionaryTexts: 4, dictionaryAgeMs: 0 };
  // Another request whenever the refresher gives way: the last comes between what was made and its taking hold.
  const reader: FleetReader = new FleetReader(
    port,
    () => now,
    limits,
    undefined,
    async () => {
      if (busy) return;
      busy = true;
      await reader.load(everything);
      busy = false;
    },
  );
  port.commit([made('a', 'read', 'x')]);
  await reader.refresh([everything]);
  port.commit([made('b', 'write', 'y')]);
  now += fleetReaderLimits.headsAgeMs + 1;
  await reader.refresh([everything]);
  const { hosts, dictionary } = await reader.load(everything);
  const labels = hosts.map((h) => h.tables.get('syscalls')!.pages[0]!.labels.map((l) => dictionary.text(l[1]!)));
  assert.deepEqual(labels, [
    ['read', 'x'],
    ['write', 'y'],
  ]);
});
