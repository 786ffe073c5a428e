/** top_talkers: known bytes of datagrams over the loopback lie within what the table says, the large ones exactly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heavyPart } from '../../services/shared/algebra/heavy.ts';
import { Generator } from './generator.ts';
import { loadProbe, requireBpf, total, type LoadedProbe } from './probe.ts';

/** 20 bytes of IPv4, 8 of UDP, 6 of payload. */
const datagramBytes = 34;
const loopback = 0x0100007fffff0000n;

interface Own {
  readonly bytes: bigint;
  readonly more: bigint;
}

/** What the table says of 127.0.0.1:port in a direction (0 sent, 1 received); undefined without a row. */
function said(probe: LoadedProbe, port: number, direction: number): Own | undefined {
  const { rows } = probe.read();
  const own = rows.find(
    ({ key }) =>
      key[0] === 0n &&
      key[1] === loopback &&
      key[2] === BigInt(port) &&
      key[3] === BigInt(direction) &&
      !(key[4]! & 1n),
  );
  if (!own) return undefined;
  const shared = rows.find(({ key }) => key[4] === own.key[4]! + 1n);
  return { bytes: own.values[0]!, more: shared?.values[0] ?? 0n };
}

test('bytes by peer and port lie within their bounds, in both directions', async (t) => {
  if (!requireBpf(t)) return;
  const probe = loadProbe(t, 'top_talkers');
  // Below the ports that clients are given, so that it is the service's.
  const ports = Array.from({ length: 40 }, (_, i) => 21_000 + i);
  for (const port of [...ports, ports[0]!]) {
    const generator = await Generator.act(['udp', port === ports[0] ? 20_000 : 2, port]);
    await generator.run();
    await generator.end();
  }
  const all = probe.read();
  const large = BigInt(2 * 20_000 * datagramBytes);
  assert.ok(large * BigInt(heavyPart) > all.seen, 'the large one carries more than the part that gets a row');
  for (const direction of [0, 1]) {
    const own = said(probe, ports[0]!, direction);
    assert.ok(own, 'the large one has a row');
    assert.ok(own.bytes <= large && large <= own.bytes + own.more, `${own.bytes} ≤ ${large} ≤ + ${own.more}`);
    assert.ok(own.bytes * 10n > large * 9n, 'and nearly all of it there');
  }
  for (const port of ports.slice(1)) {
    const bytes = BigInt(2 * datagramBytes);
    const own = said(probe, port, 0);
    if (own) assert.ok(own.bytes <= bytes && bytes <= own.bytes + own.more, `${port}: ${own.bytes}, + ${own.more}`);
  }
  const after = probe.read();
  assert.deepEqual(after.failed, [0n, 0n, 0n, 0n]);
  assert.equal(after.overflow[0], 0n);
  // The host goes on: what was seen when the ledger was read may be more than when the cells were.
  assert.ok(total(after) >= all.seen);
});
