/** net_traffic on the loopback against its own statistics, which the device counts by itself. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Generator } from './generator.ts';
import { labelled, sumOf } from './labelled.ts';
import { loadProbe, requireBpf, type LoadedProbe } from './probe.ts';

const device = (name: string): bigint => BigInt(readFileSync(`/sys/class/net/lo/statistics/${name}`, 'utf8').trim());

const kernels = (): bigint[] => ['tx_packets', 'tx_bytes', 'rx_packets', 'rx_bytes'].map(device);
const counted = (probe: LoadedProbe): bigint[] =>
  (['sent', 'received'] as const).flatMap((direction) =>
    ['net_packets', 'net_bytes'].map((table) => sumOf(labelled(probe, table), { netdev: 'lo', direction }).count),
  );
const grown = (from: readonly bigint[], to: readonly bigint[]): bigint[] => to.map((n, i) => n - from[i]!);

test('packets and bytes of the loopback are those of its statistics', async (t) => {
  if (!requireBpf(t)) return;
  const probe = loadProbe(t, 'net_traffic');
  const generator = await Generator.act(['udp', 5000, 9]);
  // Others use the loopback too: the kernel's readings around ours and within them bound ours from both sides.
  const outer = kernels();
  const before = counted(probe);
  const inner = kernels();
  await generator.run();
  const innerEnd = kernels();
  const after = counted(probe);
  const outerEnd = kernels();
  await generator.end();
  const mine = grown(before, after);
  const low = grown(inner, innerEnd);
  const high = grown(outer, outerEnd);
  t.diagnostic(`${mine.join()} packets and bytes; the device has ${low.join()} to ${high.join()}`);
  mine.forEach((n, i) => {
    assert.ok(n >= low[i]! && n <= high[i]!, `${n}, the device has ${low[i]} to ${high[i]}`);
  });
  // Each datagram of 6 bytes takes 34, and is answered by an error message of at most 62.
  assert.ok(mine[0]! >= 5000n && mine[1]! >= 5000n * 34n);
});
