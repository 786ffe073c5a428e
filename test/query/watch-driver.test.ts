/** The slots of watches' answers: never more than four at once, and none kept by a topic that nobody watches. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { WatchDriver, type WatchSink } from '../../services/query/adapters/watch-driver.ts';
import { Watches } from '../../services/query/watches.ts';
import type { QueryRequest, WatchRequest } from '../../services/shared/contract/query.ts';

const sink: WatchSink = { write: () => undefined, fail: () => undefined };

/** A driver whose answers go on until the test ends them. */
function held() {
  const under: { readonly metric: string; readonly signal: AbortSignal; readonly end: () => void }[] = [];
  let most = 0;
  const source = {
    state: async () => 's',
    answer: ({ metric }: QueryRequest, signal: AbortSignal) =>
      new Promise<never>((_, reject) => {
        const one = {
          metric,
          signal,
          end: () => {
            under.splice(under.indexOf(one), 1);
            reject(new Error('ended'));
          },
        };
        most = Math.max(most, under.push(one));
      }),
  };
  const driver = new WatchDriver(new Watches(1000), source, () => 0, 60_000);
  const open = (metric: string) =>
    driver.open(
      { query: { metric, groupBy: [], pageToken: '', pageSize: 0 }, interval: '250ms' } as unknown as WatchRequest,
      sink,
    );
  return {
    driver,
    under,
    open,
    metrics: () => under.map((a) => a.metric),
    most: () => most,
  };
}

test('an answer is aborted when its last stream leaves, and keeps its slot until it has ended', async () => {
  const { driver, under, open, metrics } = held();
  const leave = ['a', 'b', 'c', 'd'].map(open);
  const leaveToo = open('a');
  open('e');
  await turn();
  assert.deepEqual(metrics(), ['a', 'b', 'c', 'd']);
  for (const close of leave) close();
  await turn();
  assert.deepEqual(
    under.map((a) => a.signal.aborted),
    [false, true, true, true],
    'of a, one stream is left',
  );
  assert.deepEqual(metrics(), ['a', 'b', 'c', 'd'], 'none has stopped working yet');
  under[1]!.end();
  await turn();
  assert.deepEqual(metrics(), ['a', 'c', 'd', 'e']);
  leaveToo();
  assert.equal(under[0]!.signal.aborted, true);
  driver.close(new Error('stop'));
  assert.ok(under.every((a) => a.signal.aborted));
});

test('whoever left while it waited is passed over', async () => {
  const { driver, under, open, metrics } = held();
  for (const metric of ['a', 'b', 'c', 'd']) open(metric);
  const leave = open('e');
  open('f');
  await turn();
  leave();
  under[0]!.end();
  await turn();
  assert.deepEqual(metrics(), ['b', 'c', 'd', 'f']);
  driver.close(new Error('stop'));
});

test('a slot goes to the next in line with no moment in which a fifth starts', async () => {
  // The newcomer asks for a slot at each moment of the hand-over once.
  for (let moment = 0; moment < 12; moment++) {
    const { driver, under, open, metrics, most } = held();
    for (const metric of ['a', 'b', 'c', 'd', 'e']) open(metric);
    await turn();
    under[0]!.end();
    for (let i = 0; i < moment; i++) await Promise.resolve();
    open('f');
    await turn();
    assert.deepEqual([metrics(), most()], [['b', 'c', 'd', 'e'], 4], `at moment ${moment}`);
    driver.close(new Error('stop'));
  }
});
