/** What `muster up` decides from what it is told: options, identity, command lines, configuration, readable logs. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { MusterError } from '../../services/shared/runtime/errors.ts';
import { commandOf, type CommandFacts } from '../../services/cli/up/commands.ts';
import { readableLine } from '../../services/cli/up/log-line.ts';
import { instanceOf, parseUpOptions } from '../../services/cli/up/options.ts';
import { planRoles, roleNames } from '../../services/cli/up/roles.ts';
import { natsConfig, redisConfig } from '../../services/cli/up/server-files.ts';

const minimal = { listen: '127.0.0.1:50151', interval: '1s', logLevel: 'info' };

describe('options', () => {
  test('accepts what the help shows', () => {
    const options = parseUpOptions({
      ...minimal,
      label: ['role=web,zone=a'],
      scope: 'cgroup=/a',
      rows: ['syscalls=64'],
      probes: 'syscalls,runqueue',
    });
    assert.equal(options.keepPins, false);
    assert.deepEqual(options.rows, ['syscalls=64']);
  });

  const wrong: [Record<string, unknown>, string][] = [
    [{ listen: 'nowhere' }, '--listen'],
    [{ listen: '127.0.0.1:70000' }, '--listen'],
    [{ interval: 'soon' }, '--interval'],
    [{ probes: 'a,,b' }, '--probes'],
    [{ label: ['novalue'] }, '--label'],
    [{ scope: '/a' }, '--scope'],
    [{ rows: ['syscalls=0'] }, '--rows'],
    [{ memoryBudget: '64MB' }, '--memory-budget'],
    [{ profileHz: '1000' }, '--profile-hz'],
    [{ probes: 'a b' }, '--probes'],
    [{ pinRoot: 'relative' }, '--pin-root'],
    [{ logLevel: 'loud' }, '--log-level'],
  ];
  for (const [given, flag] of wrong) {
    test(`refuses ${JSON.stringify(given)} by its flag`, () => {
      assert.throws(
        () => parseUpOptions({ ...minimal, ...given }),
        (error) =>
          error instanceof MusterError &&
          error.code === 'config/invalid' &&
          error.what.startsWith(flag) &&
          error.threeLines.split('\n').length === 3,
      );
    });
  }
});

describe('instance', () => {
  const facts = { stateDir: '/var/lib/muster', defaultStateDir: '/var/lib/muster', musterUser: undefined };

  test('two state directories share nothing', () => {
    const a = instanceOf(facts, undefined);
    const b = instanceOf({ ...facts, stateDir: '/tmp/other' }, undefined);
    for (const name of ['uid', 'gid', 'pinRoot', 'runDir'] as const) assert.notEqual(a[name], b[name]);
    assert.deepEqual(instanceOf(facts, undefined), a);
  });

  test('the default one has the plain pin root; an own one wins', () => {
    assert.equal(instanceOf(facts, undefined).pinRoot, '/sys/fs/bpf/muster');
    assert.equal(instanceOf(facts, '/sys/fs/bpf/mine').pinRoot, '/sys/fs/bpf/mine');
  });

  test('the uid lies in the range of dynamic users, or is that of the user muster', () => {
    for (let i = 0; i < 200; i++) {
      const { uid } = instanceOf({ ...facts, stateDir: `/tmp/${i}` }, undefined);
      assert.ok(uid >= 61_184 && uid <= 65_519);
    }
    assert.equal(instanceOf({ ...facts, musterUser: { uid: 995, gid: 994 } }, undefined).gid, 994);
  });
});

describe('commands', () => {
  const facts = (over: Partial<CommandFacts> = {}): CommandFacts => ({
    node: '/usr/bin/node',
    services: '/m/dist/services',
    objects: '/m/build/bpf',
    stateDir: '/s',
    privileged: true,
    foreignFiles: false,
    hasBpf: true,
    options: parseUpOptions({ ...minimal, label: ['a=1', 'b=2'], rows: ['t=5', 'u=6'], probes: 'syscalls' }),
    instance: { uid: 61200, gid: 61200, pinRoot: '/sys/fs/bpf/x', runDir: '/run/x' },
    ports: { nats: 1, redis: 2 },
    ...over,
  });
  const line = (role: (typeof roleNames)[number], f = facts()): string => commandOf(role, f).words.join(' ');

  test('every role but the keeper starts without privilege', () => {
    for (const role of roleNames) {
      if (role === 'keeper') continue;
      assert.match(line(role), /--bounding-set=-all --no-new-privs/, role);
      const kept = /\+(\S+) setpriv/.exec(line(role))?.[1];
      assert.equal(kept, role === 'agent' ? 'setuid,+setgid,+bpf' : undefined, role);
    }
  });

  test('files of another user may be read, and nothing else', () => {
    assert.match(
      line('query', facts({ foreignFiles: true })),
      /--inh-caps=-all,\+dac_read_search setpriv --bounding-set=-all/,
    );
  });

  test('flags reach their roles', () => {
    assert.match(
      line('keeper'),
      /--keep .*--socket \/run\/x\/keeper.sock --gid 61200 --probes syscalls --rows t=5 --rows u=6$/,
    );
    assert.match(line('agent'), /--nats 127.0.0.1:1 --socket .* --uid 61200 --gid 61200 --label a=1,b=2$/);
    assert.match(line('aggregator'), /--nats 127.0.0.1:1 --redis 127.0.0.1:2$/);
    assert.match(line('query'), /--listen 127.0.0.1:50151 --listen unix:\S+query.sock --redis 127.0.0.1:2$/);
  });

  test('a synthetic fleet stands for keeper and agent, and needs no privilege', () => {
    const options = parseUpOptions({ ...minimal, synthetic: '7', host: 'a b' });
    const own = facts({ options, privileged: false });
    const roles = planRoles({ nats: true, redis: true, synthetic: true }).map((plan) => plan.name);
    assert.deepEqual(roles, ['nats', 'redis', 'synth', 'aggregator', 'query']);
    assert.match(line('synth', own), /synth\/main.js .*--hosts 7$/);
    for (const role of roles)
      assert.match(line(role, own), /^setpriv --no-new-privs (?!.*(bounding-set|inh-caps))/, role);
    assert.match(line('aggregator', own), / --name a_b$/);
    assert.equal(
      instanceOf({ stateDir: '/s', defaultStateDir: '/d', musterUser: undefined, unprivileged: true }, undefined)
        .runDir,
      '/s/run',
    );
    assert.throws(() => parseUpOptions({ ...minimal, synthetic: '0' }), /--synthetic 0/);
  });

  test('given servers are used', () => {
    const given = facts({ options: parseUpOptions({ ...minimal, nats: 'bus:4222', redis: 'store:6379' }) });
    assert.match(line('aggregator', given), /--nats bus:4222 --redis store:6379/);
  });
});

test('the own servers keep what they confirm', () => {
  assert.match(redisConfig(7), /^appendonly yes\nappendfsync always\nsave ""\nmaxmemory-policy noeviction$/m);
  assert.match(redisConfig(7), /^bind 127\.0\.0\.1$/m);
  assert.match(natsConfig(8), /listen: "127\.0\.0\.1:8"/);
});

describe('logs', () => {
  test('a warning becomes one line; information stays in the file', () => {
    const warn =
      '{"level":"warn","time":"2026-01-31T12:00:00Z","role":"agent","lineage":"ab","err":{"type":"E","message":"gone"},"msg":"bus lost"}';
    assert.equal(readableLine('agent', warn)?.text, 'agent warn: bus lost (lineage=ab err=gone)');
    assert.equal(readableLine('agent', '{"level":"info","msg":"read"}'), undefined);
  });
  test('a crash is shown as it is', () =>
    assert.equal(readableLine('query', 'TypeError: x')?.text, 'query: TypeError: x'));
  test('servers are heard when they complain', () => {
    assert.equal(readableLine('nats', '[1] 2026/01/31 12:00:00.000000 [ERR] no space')?.text, 'nats: no space');
    assert.equal(readableLine('nats', '[1] 2026/01/31 12:00:00.000000 [INF] Server is ready'), undefined);
    const failed = "9:M 31 Jan 2026 12:00:00.000 # Can't save in background: fork: Cannot allocate memory";
    assert.equal(readableLine('redis', failed)?.text, "redis: Can't save in background: fork: Cannot allocate memory");
    assert.equal(readableLine('redis', '9:M 31 Jan 2026 12:00:00.000 * Ready to accept connections'), undefined);
  });
});
