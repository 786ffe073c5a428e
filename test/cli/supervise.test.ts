/** The supervisor as a state machine: start order, back-off, stop order, hurry, and laws over random histories. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { patience } from '../../services/cli/up/health.ts';
import { planRoles, roleNames, stopOrder, type RoleName } from '../../services/cli/up/roles.ts';
import {
  backOff,
  detachMs,
  hurryMs,
  newSupervision,
  supervise,
  type SuperviseEffect,
  type SuperviseEvent,
} from '../../services/cli/up/supervise.ts';

const plans = planRoles({ nats: true, redis: true });

function instance(from = plans) {
  const state = newSupervision(from);
  return {
    state,
    send: (event: SuperviseEvent, nowMs: number) => supervise(state, event, nowMs),
    /** Begins and makes every role ready; answers the effects of the last step. */
    bringUp(nowMs = 0): SuperviseEffect[] {
      let effects = supervise(state, { kind: 'begin' }, nowMs);
      for (const role of ['nats', 'redis', 'keeper'] as const)
        effects = supervise(state, { kind: 'ready', role }, nowMs);
      for (const role of ['query', 'aggregator', 'agent'] as const)
        effects = supervise(state, { kind: 'ready', role }, nowMs);
      return effects;
    },
  };
}

const spawned = (effects: readonly SuperviseEffect[]): RoleName[] =>
  effects.flatMap((e) => (e.kind === 'spawn' ? [e.role] : []));
const kinds = (effects: readonly SuperviseEffect[]): string[] =>
  effects.map((e) => e.kind).filter((kind) => kind !== 'wake');

describe('start', () => {
  test('a role starts once what it needs is ready', () => {
    const up = instance();
    assert.deepEqual(spawned(up.send({ kind: 'begin' }, 0)), ['nats', 'redis', 'keeper']);
    assert.deepEqual(spawned(up.send({ kind: 'ready', role: 'redis' }, 1)), ['query']);
    assert.deepEqual(spawned(up.send({ kind: 'ready', role: 'nats' }, 2)), ['aggregator']);
    assert.deepEqual(spawned(up.send({ kind: 'ready', role: 'keeper' }, 3)), []);
    assert.deepEqual(spawned(up.send({ kind: 'ready', role: 'aggregator' }, 4)), ['agent']);
  });

  test('given servers are neither started nor waited for', () => {
    const up = instance(planRoles({ nats: false, redis: false }));
    assert.deepEqual(spawned(up.send({ kind: 'begin' }, 0)), ['keeper', 'aggregator', 'query']);
  });

  test('says once that all are ready', () => {
    const up = instance();
    assert.deepEqual(kinds(up.bringUp()), ['up']);
    up.send({ kind: 'exited', role: 'agent', code: 1, signal: undefined }, 5);
    up.send({ kind: 'tick' }, 5 + backOff.firstMs);
    assert.deepEqual(kinds(up.send({ kind: 'ready', role: 'agent' }, 300)), []);
  });

  test('a role that cannot start even once stops everything', () => {
    const up = instance();
    up.send({ kind: 'begin' }, 0);
    const effects = up.send({ kind: 'exited', role: 'keeper', code: 1, signal: undefined }, 5);
    assert.deepEqual(kinds(effects), ['failed', 'signal']);
    assert.ok(effects.some((e) => e.kind === 'signal' && e.role === 'redis'));
  });
});

describe('restart', () => {
  test('backs off to a limit, and forgets after a while of health', () => {
    const up = instance();
    up.bringUp();
    let now = 1000;
    const waits: number[] = [];
    const crash = (): void => {
      const effect = up
        .send({ kind: 'exited', role: 'agent', code: undefined, signal: 'SIGKILL' }, now)
        .find((e) => e.kind === 'restarting');
      assert.ok(effect?.kind === 'restarting');
      assert.equal(effect.reason, 'killed by SIGKILL');
      waits.push(effect.afterMs);
      assert.deepEqual(spawned(up.send({ kind: 'tick' }, now + effect.afterMs - 1)), []);
      now += effect.afterMs;
      assert.deepEqual(spawned(up.send({ kind: 'tick' }, now)), ['agent']);
      up.send({ kind: 'ready', role: 'agent' }, now);
    };
    for (let i = 0; i < 8; i++) crash();
    now += backOff.resetAfterMs;
    crash();
    assert.deepEqual(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 200]);
  });

  test('a role that was killed before it was ready starts again', () => {
    const up = instance();
    up.send({ kind: 'begin' }, 0);
    assert.deepEqual(kinds(up.send({ kind: 'exited', role: 'redis', code: undefined, signal: 'SIGKILL' }, 1)), [
      'restarting',
    ]);
  });
});

describe('silence', () => {
  const silent = { kind: 'asked', role: 'nats', answered: false, reason: 'no answer to PING' } as const;

  test('a server that does not answer several times over its patience is killed, and starts again', () => {
    const up = instance();
    up.bringUp();
    assert.deepEqual(kinds(up.send(silent, 5_000)), []);
    assert.deepEqual(kinds(up.send(silent, 10_000)), []);
    const effects = up.send(silent, patience.firstMs);
    assert.deepEqual(kinds(effects), ['killing', 'signal']);
    assert.ok(effects.some((e) => e.kind === 'killing' && e.reason === 'no answer for 15 s (no answer to PING)'));
    assert.ok(effects.some((e) => e.kind === 'signal' && e.role === 'nats' && e.signal === 'SIGKILL'));
    const ended = up.send({ kind: 'exited', role: 'nats', code: undefined, signal: 'SIGKILL' }, 15_001);
    assert.deepEqual(kinds(ended), ['restarting']);
    assert.deepEqual(spawned(up.send({ kind: 'tick' }, 15_001 + backOff.firstMs)), ['nats']);
  });

  test('an answer in between, a clock that jumped and a role that is not ready are no hang', () => {
    const up = instance();
    up.send(silent, 0);
    up.bringUp();
    for (let now = 5_000; now < 100_000; now += 10_000) {
      assert.deepEqual(kinds(up.send(silent, now)), []);
      assert.deepEqual(kinds(up.send({ ...silent, answered: true }, now + 5_000)), []);
    }
    assert.deepEqual(kinds(up.send(silent, 10_000_000)), [], 'one question after a sleep of the machine');
    up.send({ kind: 'stop' }, 10_000_001);
    for (let i = 0; i < 9; i++) assert.deepEqual(kinds(up.send(silent, 20_000_000 + i)).includes('killing'), false);
  });

  test('patience doubles to a limit with each time, and is forgotten after a while of answers', () => {
    const up = instance();
    up.bringUp();
    let now = 0;
    const untilKilled = (): number => {
      const from = now;
      for (;;) {
        now += 5_000;
        if (kinds(up.send(silent, now)).includes('killing')) break;
      }
      const waited = now - from;
      up.send({ kind: 'exited', role: 'nats', code: undefined, signal: 'SIGKILL' }, now);
      now += backOff.largestMs;
      up.send({ kind: 'tick' }, now);
      up.send({ kind: 'ready', role: 'nats' }, now);
      return waited;
    };
    assert.deepEqual(
      Array.from({ length: 7 }, () => untilKilled() / 1000),
      [15, 30, 60, 120, 240, 300, 300],
    );
    now += patience.resetAfterMs;
    up.send({ ...silent, answered: true }, now);
    assert.equal(untilKilled(), patience.firstMs);
  });
});

describe('stop', () => {
  test('detaches, then ends each role after the one before it', () => {
    const up = instance();
    up.bringUp();
    assert.deepEqual(kinds(up.send({ kind: 'stop' }, 10)), ['detach']);
    let effects = up.send({ kind: 'detached' }, 11);
    const order: RoleName[] = [];
    const running = roleNames.filter((role) => role !== 'synth');
    for (let step = 0; step < running.length; step++) {
      const signal = effects.find((e) => e.kind === 'signal');
      assert.ok(signal?.kind === 'signal' && signal.signal === 'SIGTERM');
      order.push(signal.role);
      effects = up.send({ kind: 'exited', role: signal.role, code: 0, signal: undefined }, 12 + step);
    }
    assert.deepEqual(
      order,
      stopOrder.filter((role) => role !== 'synth'),
    );
    assert.deepEqual(kinds(effects), ['done']);
  });

  test('a keeper that does not answer holds the stop for a while only', () => {
    const up = instance();
    up.bringUp();
    up.send({ kind: 'stop' }, 0);
    assert.deepEqual(kinds(up.send({ kind: 'tick' }, detachMs)), ['signal']);
  });

  test('a role that does not end is killed at its deadline', () => {
    const up = instance();
    up.bringUp();
    up.send({ kind: 'stop' }, 0);
    up.send({ kind: 'detached' }, 0);
    const limit = plans.find((p) => p.name === 'agent')!.stopMs;
    assert.deepEqual(kinds(up.send({ kind: 'tick' }, limit - 1)), []);
    assert.deepEqual(kinds(up.send({ kind: 'tick' }, limit)), ['killing', 'signal']);
  });

  test('a second signal shortens every wait', () => {
    const up = instance();
    up.bringUp();
    up.send({ kind: 'stop' }, 0);
    assert.deepEqual(kinds(up.send({ kind: 'stop' }, 5)), ['signal']);
    assert.deepEqual(kinds(up.send({ kind: 'tick' }, 5 + hurryMs)), ['killing', 'signal']);
  });

  test('nothing is restarted while stopping', () => {
    const up = instance();
    up.bringUp();
    up.send({ kind: 'exited', role: 'query', code: 1, signal: undefined }, 1);
    up.send({ kind: 'stop' }, 2);
    assert.deepEqual(spawned(up.send({ kind: 'tick' }, 60_000)), []);
  });
});

test('law: whatever happens, a stop ends; no role runs twice; needs come first; nothing starts after a stop', () => {
  const history = fc.array(
    fc.record({
      what: fc.constantFrom('ready', 'crash', 'die', 'wait', 'detached', 'stop'),
      role: fc.constantFrom(...roleNames),
      ms: fc.nat(5000),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(history, fc.boolean(), (steps, answers) => {
      const state = newSupervision(plans);
      const running = new Set<RoleName>();
      const readied = new Set<RoleName>();
      let now = 0;
      let stopped = false;
      let done = false;
      const send = (event: SuperviseEvent): void => {
        if (event.kind === 'stop') stopped = true;
        for (const effect of supervise(state, event, now)) {
          if (effect.kind === 'failed') stopped = true;
          if (effect.kind === 'spawn') {
            assert.ok(!stopped, 'started while stopping');
            assert.ok(!running.has(effect.role), 'started twice');
            for (const need of plans.find((p) => p.name === effect.role)!.needs) assert.ok(readied.has(need));
            running.add(effect.role);
          }
          if (effect.kind === 'signal') assert.ok(running.has(effect.role), 'signalled what does not run');
          if (effect.kind === 'signal' && effect.signal === 'SIGKILL') queueExit.push(effect.role);
          if (effect.kind === 'done') {
            assert.equal(running.size, 0, 'done with processes left');
            done = true;
          }
        }
      };
      const queueExit: RoleName[] = [];
      const exit = (role: RoleName, code: number | undefined): void => {
        if (!running.delete(role)) return;
        send({ kind: 'exited', role, code, signal: code === undefined ? 'SIGKILL' : undefined });
      };
      send({ kind: 'begin' });
      for (const { what, role, ms } of steps) {
        if (done) break;
        now += ms;
        if (what === 'ready' && running.has(role)) {
          readied.add(role);
          send({ kind: 'ready', role });
        } else if (what === 'crash') exit(role, undefined);
        else if (what === 'die') exit(role, 1);
        else if (what === 'stop' || what === 'detached') send({ kind: what });
        else send({ kind: 'tick' });
      }
      if (!done) send({ kind: 'stop' });
      // From here nothing answers but the kernel: kills end every role, and time passes.
      for (let i = 0; i < 40 && !done; i++) {
        now += 20_000;
        if (answers) for (const role of [...running].slice(0, 1)) exit(role, 0);
        send({ kind: 'tick' });
        for (let role = queueExit.pop(); role; role = queueExit.pop()) exit(role, undefined);
      }
      assert.ok(done, 'the stop did not end');
    }),
    { numRuns: 500 },
  );
});
