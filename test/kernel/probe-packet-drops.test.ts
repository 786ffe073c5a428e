/** packet_drops: datagrams to a port that nobody listens on, against what was sent and /proc/net/snmp. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Generator } from './generator.ts';
import { labelled, sumOf } from './labelled.ts';
import { loadProbe, requireBpf } from './probe.ts';

function noPorts(): bigint {
  const [names, values] = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((l) => l.startsWith('Udp:'));
  return BigInt(values!.split(' ')[names!.split(' ').indexOf('NoPorts')]!);
}

test('packets to a closed port are dropped for want of a socket, each counted once', async (t) => {
  if (!requireBpf(t)) return;
  const sent = 2000n;
  const taken = createSocket('udp4').bind(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address();
  taken.close();
  await once(taken, 'close');
  const probe = loadProbe(t, 'packet_drops');
  const count = (): bigint => sumOf(labelled(probe, 'packet_drops'), { reason: 'NO_SOCKET', protocol: 'IPv4' }).count;
  const generator = await Generator.act(['udp', Number(sent), port]);
  const before = count();
  const kernelBefore = noPorts();
  await generator.run();
  const kernels = noPorts() - kernelBefore;
  const ours = count() - before;
  await generator.end();
  t.diagnostic(`${ours} dropped; the kernel has ${kernels}`);
  assert.ok(kernels >= sent);
  // Resets of others' connections without a socket have this reason too.
  assert.ok(ours >= kernels && ours <= kernels + 100n, `${ours}, the kernel has ${kernels}`);
  const reasons = probe.meta.tables[0]!.labels[0]!.names!;
  assert.ok(Object.values(reasons).includes('TCP_CSUM'), 'the names are the kernel’s');
});
