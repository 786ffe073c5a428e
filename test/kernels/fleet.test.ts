/**
 * A fleet of different kernels, each a machine of its own, asked through gRPC: docs/kernels.md. No part of `npm test`:
 * `npm run test:kernels`. Without the machines' parts it is skipped, visibly; with MUSTER_REQUIRE_ALL=1 that is a
 * failure, but for kernels that the mirror does not give: of other Debian releases, which leave it some day, or without
 * a network.
 */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../services/shared/contract/query.ts';
import { load } from '../integration/instance.ts';
import { requireOrSkip } from '../require.ts';
import { all, liveProbes, msOf, of } from './asking.ts';
import { Fleet, reference } from './fleet.ts';
import type { Guest } from './guest.ts';
import { buildImage, upgradeHere } from './image.ts';
import { findKernels, type Kernel } from './kernels.ts';
import { assertRefusal } from './refusal.ts';
import { builtIn, clockAheadMs, guestsNeed, plan, type Plans } from './plans.ts';
import { keepTable, probeTable } from './table.ts';

const calls = 100_000;
const lacking = guestsNeed();
const found = lacking === undefined ? findKernels() : new Map<never, never>();
const ownSuite = 'bookworm';
const own = found.get(ownSuite);
const cannot = lacking ?? (own && 'missing' in own ? own.missing : undefined);

test('this machine can emulate others', (t) => {
  requireOrSkip(t, lacking ?? 'nothing', lacking === undefined);
});
for (const { suite, ...kernel } of found.values()) {
  test(`the kernel of ${suite} can be had`, (t) => {
    if (!('missing' in kernel)) return;
    if (suite === ownSuite && !kernel.unreachable) requireOrSkip(t, kernel.missing, false);
    else t.skip(kernel.missing);
  });
}

let running: Fleet | undefined;
// Interrupted, it leaves nothing behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void Promise.resolve(running?.end()).finally(() => process.exit(1)));

describe('a fleet of kernels', { skip: cannot ?? false }, () => {
  let fleet: Fleet;
  let plans: Plans;
  const guest = (name: string): Guest => fleet.guests.get(name)!;
  const hostOf = async (name: string): Promise<Host> => (await fleet.ask('GetHost', { host: name })).host!;
  const totalIs = (comm: string, expected: number, host?: string) =>
    fleet.until(
      `${expected} calls of ${comm}`,
      'Query',
      { ...all, selector: of(comm, host) },
      (a) => a.total === String(expected),
    );

  before(async () => {
    const kernels = [...found.values()].filter((k): k is Kernel => !('missing' in k));
    plans = plan(own as Kernel, found);
    const image = buildImage(kernels);
    fleet = running = await Fleet.launch([...builtIn, upgradeHere]);
    await fleet.ready(image);
    await fleet.bootAll(plans.six);
  });
  after(async () => {
    console.log(`CPU time: ${running?.cost()}`);
    await running?.end();
  });

  test('six machines at once: each is listed with its kernel and boot id', async () => {
    const count = plans.six.length + 1;
    await fleet.until('every host reports', 'ListHosts', {}, (a) => a.hosts.length === count);
    await fleet.until('every probe counts', 'ListHosts', {}, (a) =>
      plans.six.every((p) => liveProbes(a.hosts.find((h) => h.host === p.host)!).length >= 2),
    );
    for (const { name, host, kernel } of plans.six) {
      const { output } = await guest(name).run('cat /proc/sys/kernel/random/boot_id');
      const told = await hostOf(host);
      assert.deepEqual([told.kernel, told.bootId], [kernel.release, output.trim()], host);
    }
    assert.equal(new Set((await fleet.ask('ListHosts', {})).hosts.map((h) => h.bootId)).size, count);
  });

  test('each host’s calls are counted exactly, and so is their sum', async () => {
    const here = load('--threads', '2', '--calls', String(calls / 2), '--comm', 'known');
    await Promise.all([here, ...plans.six.map((p) => guest(p.name).load(calls, 'known'))]);
    const count = plans.six.length + 1;
    await totalIs('known', calls * count);
    const answer = await fleet.ask('Query', { ...all, selector: of('known'), groupBy: ['host'] });
    assert.deepEqual(
      answer.rows.map((r) => [r.labels['host'], r.value]).sort(),
      [reference, ...plans.six.map((p) => p.host)].sort().map((host) => [host, String(calls)]),
    );
    assert.equal(answer.coverage?.hostsMatched, count);
    // What else runs on this host may fill its table.
    const guests = await fleet.ask('Query', { ...all, selector: `${of('known')},host!="${reference}"` });
    assert.deepEqual(
      [guests.total, guests.totalErrorBound, guests.coverage?.exact],
      [String(calls * (count - 1)), '0', true],
      JSON.stringify(guests),
    );
  });

  test('histograms and coverage are merged', async () => {
    const count = plans.six.length + 1;
    const answer = await fleet.ask('QueryHistogram', { metric: 'runqueue', range: 'all', groupBy: ['host'] });
    assert.equal(answer.rows.length, count);
    const sum = answer.rows.reduce((n, r) => n + BigInt(r.count), 0n);
    assert.equal(sum, BigInt(answer.overall!.count));
    assert.equal(answer.overall!.hosts, count);
    for (const bucket of answer.overall!.buckets) {
      const parts = answer.rows.flatMap((r) => r.buckets.filter((b) => b.lower === bucket.lower));
      assert.equal(
        parts.reduce((n, b) => n + BigInt(b.count), 0n),
        BigInt(bucket.count),
        `from ${bucket.lower} ns`,
      );
    }
    assert.equal(answer.coverage?.hostsMatched, count);
    assert.ok(BigInt(answer.coverage!.ledger!.seen) >= sum);
  });

  test('every built-in probe is attached, or says why not', async () => {
    const core = ['syscalls', 'runqueue', 'cpu_time', 'processes'];
    const told = (host: Host): boolean =>
      builtIn.every((name) => host.probes.some((p) => p.probe === name && ['live', 'missing'].includes(p.state))) &&
      core.every((name) => liveProbes(host).includes(name));
    const hosts = ['older', 'newer', reference];
    const shown = await fleet.until('every probe is told', 'ListHosts', {}, (a) =>
      hosts.every((name) => told(a.hosts.find((h) => h.host === name)!)),
    );
    const columns = hosts.map((name) => {
      const host = shown.hosts.find((h) => h.host === name)!;
      for (const p of host.probes) if (p.state === 'missing') assert.notEqual(p.reason, '', p.probe);
      return { title: `Linux ${/^\d+\.\d+/.exec(host.kernel)![0]}`, host };
    });
    const table = probeTable(columns, builtIn);
    console.log(table);
    if ([...found.values()].every((k) => !('missing' in k))) keepTable(table);
  });

  test('hooks that only some kernels have count the same where they are to be had, and are missed elsewhere', async () => {
    for (const name of ['older', 'newer']) {
      const { probes } = await hostOf(name);
      const { programs } = probes.find((p) => p.probe === 'upgrade')!;
      assert.deepEqual(programs.map((p) => [p.hook, p.state, p.reason]).sort(), [
        ['fentry/__do_sys_getppid', 'attached', ''],
        ['kprobe/__do_sys_getppid', 'attached', ''],
        ['tp_btf/sys_enter', 'attached', ''],
      ]);
    }
    // This host's kernel has them or not; it counts by those it has, and says of the others that they are missing.
    const here = (await hostOf(reference)).probes.find((p) => p.probe === 'upgrade')!;
    assert.equal(here.programs.length, 3);
    for (const { program, state, reason } of here.programs)
      assert.ok(state === 'attached' ? reason === '' : state === 'missing' && reason !== '', program);
    const hooks = { upgrade_base: 'tp_btf', upgrade_fentry: 'fentry', upgrade_kprobe: 'kprobe' };
    for (const [metric, kind] of Object.entries(hooks)) {
      const has = here.programs.some((p) => p.hook.startsWith(kind) && p.state === 'attached');
      const answer = await fleet.ask('Query', { metric, range: 'all', selector: 'comm="known"', groupBy: ['host'] });
      assert.deepEqual(
        answer.rows.map((r) => [r.labels['host'], r.value]).sort(),
        ['newer', 'older', ...(has ? [reference] : [])].map((host) => [host, String(calls)]),
        metric,
      );
    }
  });

  describe('what a single kernel cannot show', { concurrency: true }, () => {
    // Those with every probe have shown what they can, and cost most: what they counted stays.
    before(() => Promise.all(['older', 'newer'].map((name) => guest(name).powerOff())));

    test('a network that is cut for a minute loses nothing', async () => {
      const cut = guest('cut');
      await cut.link(false);
      const restored = sleep(60_000);
      await cut.load(calls, 'unheard');
      const { hosts } = await fleet.until('it turns stale', 'ListHosts', { selector: 'host="cut"' }, (a) =>
        a.hosts.some((h) => h.state === 'stale'),
      );
      const since = msOf(hosts[0]!.staleSinceTime);
      assert.ok(since < Date.now() && since > Date.now() - 600_000, 'since when');
      await restored;
      assert.equal((await fleet.ask('Query', { ...all, selector: of('unheard') })).total, '0');
      await cut.link(true);
      await totalIs('unheard', calls);
      const own = await fleet.ask('Query', { ...all, selector: of('unheard', 'cut') });
      assert.deepEqual([own.total, own.coverage?.exact], [String(calls), true], JSON.stringify(own));
      assert.equal((await hostOf('cut')).staleSinceTime ?? null, null);
    });

    test('power lost in the middle: what was counted stays, and the next boot counts on', async () => {
      const off = guest('off');
      const before = await hostOf('off');
      await off.run('load --call nap --calls 100000000 --comm hot >/dev/null 2>&1 &');
      const hot = { ...all, selector: 'comm="hot",host="off"' };
      await fleet.until('it counts', 'Query', hot, (a) => BigInt(a.total) > 100n);
      await off.powerOff();
      const gone = performance.now();
      const { hosts } = await fleet.until('it turns stale', 'ListHosts', { selector: 'host="off"' }, (a) =>
        a.hosts.some((h) => h.state === 'stale'),
      );
      const sinceMs = Date.now() - msOf(hosts[0]!.staleSinceTime);
      assert.ok(sinceMs > 0 && sinceMs < performance.now() - gone + 60_000, `stale since ${sinceMs} ms`);
      assert.ok(liveProbes(hosts[0]!).length === 0, 'nothing there counts');
      const kept = (await fleet.ask('Query', hot)).total;
      const again = await fleet.boot(plans.six.find((p) => p.name === 'off')!);
      await fleet.until('it is back', 'GetHost', { host: 'off' }, (a) => a.host!.bootId !== before.bootId);
      await again.load(calls, 'again');
      await totalIs('again', calls, 'off');
      const { output } = await again.run('cat /proc/sys/kernel/random/boot_id');
      const back = await hostOf('off');
      assert.equal(back.bootId, output.trim());
      assert.ok(
        back.probes.some((p) => p.bootId === before.bootId && p.state === 'ended'),
        'its lineage ends',
      );
      assert.ok(back.unknown.some((u) => u.reason === 'reboot'));
      assert.equal((await fleet.ask('Query', hot)).total, kept);
      await totalIs('known', calls, 'off');
    });

    test('a clock an hour ahead changes no total, and is told', async () => {
      await guest('clock').load(calls, 'ahead');
      await totalIs('ahead', calls);
      await guest('clock').load(calls, 'ahead');
      // In the last minutes, and not in an hour; the first of them may have come with what is not dated.
      await fleet.until(
        'its calls, dated by the bus',
        'Query',
        { metric: 'syscalls', selector: of('ahead'), range: '15m' },
        (a) => BigInt(a.total) >= BigInt(calls),
      );
      const host = await hostOf('clock');
      const skewMs = msOf(host.clockSkew);
      assert.ok(Math.abs(skewMs - clockAheadMs) < 300_000, `${skewMs} ms ahead`);
      assert.ok(msOf(host.lag) < 300_000);
      const answer = await totalIs('ahead', 2 * calls);
      assert.ok(msOf(answer.coverage?.endTime) < Date.now() + 60_000, 'no answer reaches into the future');
      assert.ok(answer.notes.some((n) => n.includes('clock')) || (await notes()).some((n) => /clock of clock/.test(n)));
    });

    test('two machines of one name: the second is told apart, set aside, and said so; renamed, it brings all it counted', async () => {
      const { host: name } = plans.twin;
      const first = await hostOf(name);
      const twin = await fleet.boot(plans.twin);
      const set = await fleet.until('the second is found out', 'GetHost', { host: name }, (a) =>
        a.host!.probes.some((p) => p.probe === 'syscalls' && p.state === 'namesake'),
      );
      assert.equal(set.host!.bootId, first.bootId, 'the first is the host');
      const aside = set.host!.probes.find((p) => p.state === 'namesake')!;
      assert.match(aside.reason, /another machine/);
      const { output } = await twin.run('cat /proc/sys/kernel/random/boot_id');
      assert.equal(aside.bootId, output.trim());
      await guest('preempt').load(calls, 'twin-first');
      await twin.load(calls, 'twin-second');
      await totalIs('twin-first', calls);
      const while_ = await fleet.ask('Query', { ...all, selector: of('twin-second') });
      assert.equal(while_.total, '0');
      assert.equal(while_.coverage?.exact, false);
      assert.ok(
        while_.notes.some((n) => n.includes(`2 machines report as ${name}`)),
        JSON.stringify(while_.notes),
      );
      assert.ok((await notes()).some((n) => n.includes(`2 machines report as ${name}`)));

      await twin.run('sh /run/agent renamed');
      await fleet.until('it reports as another', 'ListHosts', {}, (a) => a.hosts.some((h) => h.host === 'renamed'));
      await totalIs('twin-second', calls, 'renamed');
      await fleet.until('the first alone bears the name', 'Query', { ...all, selector: of('known', name) }, (a) =>
        a.notes.every((n) => !n.includes('machines report')),
      );
      await totalIs('known', calls, name);
    });

    test('a kernel that lacks what is needed is refused, with all that it lacks', async (t) => {
      if (!plans.old) return t.skip('no old kernel could be had');
      const old = await fleet.boot(plans.old);
      await assertRefusal(old);
      await old.powerOff();
    });
  });

  test('after all of it, each total is what it was', async () => {
    const count = plans.six.length + 1;
    await totalIs('known', calls * count);
    for (const comm of ['unheard', 'again', 'twin-first', 'twin-second']) await totalIs(comm, calls);
    await totalIs('ahead', 2 * calls);
  });

  const notes = async (): Promise<string[]> => (await fleet.ask('ListHosts', {})).notes;
});
