/**
 * Two instances side by side count one cgroup: one with room for every key, one with 64 rows for ten thousand. The
 * events are the same, so the totals must be: a full table loses labels, never events, and says how many.
 */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cannotRun, Instance, load, until } from './instance.ts';

/** Where cgroup v2 is mounted: at the top, or below it on a hybrid system. */
const cgroups = readFileSync('/proc/self/mounts', 'utf8')
  .split('\n')
  .map((line) => line.split(' '))
  .find(([, , type]) => type === 'cgroup2')?.[1];

/** A profile shows in which seconds a program ran. */
async function toldBySecond(instance: Instance, cgroup: string): Promise<void> {
  const fromS = Math.floor(Date.now() / 1000);
  await load('--cgroup', cgroup, '--call', 'spin', '--calls', '15000', '--comm', 'e2e-burns');
  const toS = Math.floor(Date.now() / 1000);
  const asked = { metric: 'cpu_profile', selector: 'comm="e2e-burns"', groupBy: ['comm'], range: '2m' };
  const seconds = { ...asked, step: '1s' };
  await until('the samples are counted', async () => Number((await instance.query(asked)).total) > 0, 20_000);
  await sleep(3000); // the newest are read each second
  const { step, series, notes, coverage } = await instance.client.call('QueryRange', seconds);
  assert.equal(Number(step!.seconds), 1);
  const points = series[0]!.points.filter((p) => p.value !== '0');
  assert.equal(
    points.reduce((sum, p) => sum + Number(p.value), 0),
    Number(series[0]!.value),
  );
  assert.ok(points.length > 0, JSON.stringify({ notes, coverage }));
  if (notes.some((n) => n.includes('could not be told by second'))) return;
  for (const { time } of points)
    assert.ok(Number(time!.seconds) >= fromS && Number(time!.seconds) <= toS, JSON.stringify(points));
}

describe(
  'a scope of its own',
  { skip: cannotRun ?? (cgroups === undefined ? 'cgroup v2 is not mounted' : undefined) },
  () => {
    test(
      'a table of 64 rows under 10,000 keys keeps the total, and counts what lost its label',
      { timeout: 120_000 },
      async () => {
        const name = `muster-test-${process.pid}`;
        const folder = join(cgroups!, name);
        mkdirSync(folder);
        const instances: Instance[] = [];
        try {
          const flags = ['--scope', `cgroup=/${name}`];
          const wide = await Instance.launch([...flags, '--host', 'wide', '--probes', 'syscalls,cpu_profile']);
          instances.push(wide);
          const small = ['--probes', 'syscalls', '--rows', 'syscalls=64'];
          const narrow = await Instance.launch([...flags, '--host', 'narrow', ...small]);
          instances.push(narrow);
          for (const instance of instances)
            await until('it answers', () => instance.stderr.includes('answering on'), 60_000);

          const threads = 2;
          const keys = 10_000;
          const each = 50_000;
          await load(
            '--cgroup',
            folder,
            '--threads',
            String(threads),
            '--call',
            'number',
            '--keys',
            String(keys),
            '--calls',
            String(each),
            '--comm',
            'e2e-scoped',
          );

          // The program's other calls, to start and to end, are in both totals too.
          const made = threads * each;
          const all = { metric: 'syscalls', range: 'all' };
          await until('all is counted', async () => Number((await wide.query(all)).total) >= made, 15_000);
          const exact = await wide.expectTotal(all, Number((await wide.query(all)).total));
          assert.equal(exact.coverage?.exact, true, JSON.stringify(exact.coverage));
          assert.equal(exact.coverage?.ledger?.overflow, '0');
          const numbered = await wide.query({
            ...all,
            selector: 'comm="e2e-scoped",syscall=~"syscall_[0-9]+"',
            groupBy: ['comm'],
          });
          assert.equal(numbered.total, String(made));

          const full = await narrow.expectTotal(all, Number(exact.total));
          assert.equal(full.coverage?.ledger?.seen, exact.total);
          const overflow = Number(full.coverage?.ledger?.overflow);
          assert.ok(overflow > made / 2 && overflow < made + 10_000, `overflow ${overflow}`);
          const rows = full.rows.reduce((sum, row) => sum + Number(row.value), 0);
          assert.equal(rows + Number(full.residual), Number(full.total));
          const bound = full.rows[0]?.errorBound;
          assert.ok(Number(bound) >= overflow, `a row's bound ${bound} covers what lost its label`);
          await toldBySecond(wide, folder);
        } finally {
          for (const instance of instances) await instance.discard();
          rmdirSync(folder);
        }
      },
    );
  },
);
