/** The judgement of `muster doctor` on made-up machines: each lack is named once, with its fix. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { examine, type HostFacts } from '../../services/cli/doctor/checks.ts';

const good: HostFacts = {
  kernel: '6.1.0-18-amd64',
  node: 'v20.19.0',
  btf: true,
  features: { features: [{ name: 'atomics', since: '5.12', present: true }], agentNeedsBpf: false },
  bpffs: true,
  tracefs: true,
  uid: 0,
  missingCapabilities: [],
  libbpf: { version: 'libbpf 1.1' },
  natsServer: 'nats-server: v2.9.10',
  redisServer: 'Redis server v=7.0.15',
  setpriv: true,
  objects: ['syscalls.bpf.o'],
  listen: { address: '127.0.0.1:50151', state: 'free' },
  nats: { version: '2.9.10', jetstream: true, payloadMax: 1048576 },
  redis: { version: '7.0.15', policy: 'noeviction', appendOnly: 'yes', appendFsync: 'always' },
};

test('a good machine passes everything', () => {
  for (const check of examine(good)) assert.deepEqual([check.name, check.result, check.fix], [check.name, 'pass', '']);
});

const lacks: [Partial<HostFacts>, string, 'warn' | 'fail'][] = [
  [
    { features: { features: [{ name: 'atomics', since: '5.12', present: false }], agentNeedsBpf: false } },
    'kernel features',
    'fail',
  ],
  [{ features: { features: [], agentNeedsBpf: true } }, 'agent’s privilege', 'warn'],
  [{ features: { error: 'could not be tried: load BPF programs' } }, 'kernel features', 'warn'],
  [{ btf: false }, 'kernel BTF', 'fail'],
  [{ bpffs: false }, 'bpffs', 'fail'],
  [{ tracefs: false }, 'tracefs', 'warn'],
  [{ uid: 1000, missingCapabilities: ['CAP_BPF'] }, 'privilege to load BPF', 'fail'],
  [{ libbpf: { error: 'no such file' } }, 'libbpf through FFI', 'fail'],
  [{ natsServer: undefined }, 'nats-server', 'warn'],
  [{ redisServer: undefined }, 'redis-server', 'warn'],
  [{ objects: [] }, 'BPF objects', 'fail'],
  [{ listen: { address: '127.0.0.1:50151', state: 'EADDRINUSE' } }, 'address 127.0.0.1:50151', 'warn'],
  [{ nats: { error: 'refused' } }, 'NATS', 'fail'],
  [{ nats: { version: '2', jetstream: false, payloadMax: 1048576 } }, 'NATS JetStream', 'fail'],
  [{ nats: { version: '2', jetstream: true, payloadMax: 1024 } }, 'NATS max_payload', 'fail'],
  [{ redis: { error: 'refused' } }, 'Redis', 'fail'],
  [
    { redis: { version: '7', policy: 'allkeys-lru', appendOnly: 'yes', appendFsync: 'always' } },
    'Redis maxmemory-policy',
    'fail',
  ],
  [
    { redis: { version: '7', policy: 'noeviction', appendOnly: 'no', appendFsync: 'always' } },
    'Redis appendonly',
    'warn',
  ],
];
for (const [lack, name, result] of lacks) {
  test(`${JSON.stringify(lack)} → ${name}: ${result}`, () => {
    const bad = examine({ ...good, ...lack }).filter((check) => check.result !== 'pass');
    assert.deepEqual(
      bad.map((check) => [check.name, check.result]),
      [[name, result]],
    );
    assert.notEqual(bad[0]!.fix, '');
  });
}
