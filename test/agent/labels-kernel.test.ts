/** Key bytes to text, for the meanings that the built-in probes of interrupts, processes, disks and network use. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { decodeLabels, decodersOf } from '../../services/agent/labels/decoders.ts';

const decode = (meaning: string, bytes: ArrayLike<number>): string => {
  const offset = 8;
  const keys = new Uint8Array(32 + bytes.length);
  keys.set(Uint8Array.from(bytes), 16 + offset);
  const label = { name: 'x', meaning, offset, size: bytes.length };
  return decodeLabels(decodersOf([label], { machine: 'x86_64' }), new DataView(keys.buffer), 16)[0]!;
};
const word = (value: number, size = 8): number[] =>
  Array.from({ length: size }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));
const hex = (text: string): number[] => [...Buffer.from(text.replaceAll(/[: ]/g, ''), 'hex')];
const text = (s: string, size: number): number[] => [...Buffer.from(s.padEnd(size, '\0'))];

const cases: readonly (readonly [meaning: string, bytes: number[], expected: string])[] = [
  ['softirq', word(0), 'HI'],
  ['softirq', word(3), 'NET_RX'],
  ['softirq', word(9, 4), 'RCU'],
  ['softirq', word(10), '10'],
  ['exit', word(0, 4), '0'],
  ['exit', word(7 << 8, 4), '7'],
  ['exit', word(255 << 8, 4), '255'],
  ['exit', word(9, 4), 'SIGKILL'],
  ['exit', word(11 | 0x80, 4), 'SIGSEGV+core'],
  ['exit', word(34, 8), 'SIGRT34'],
  ['exit', word(100, 8), 'signal_100'],
  ['port', word(443), '443'],
  ['port', word(65535, 2), '65535'],
  ['device', word((8 << 20) | 1, 4), '8:1'],
  ['device', word((254 << 20) | 0, 8), '254:0'],
  ['ipv4', hex('c0000201'), '192.0.2.1'],
  ['ipv4', hex('7f00000100000000'), '127.0.0.1'],
  ['ipv6', hex('20010db8000000000000000000000001'), '2001:db8::1'],
  ['ipv6', hex('00000000000000000000000000000000'), '::'],
  ['ipv6', hex('00000000000000000000000000000001'), '::1'],
  ['ipv6', hex('20010db8000000010001000100010001'), '2001:db8:0:1:1:1:1:1'],
  ['ipv6', hex('00010000000000010000000000000001'), '1:0:0:1::1'],
  ['ipv6', hex('00000000000000000000ffffc0000201'), '192.0.2.1'],
  ['ipv6', hex('fe800000000000000000000000000000'), 'fe80::'],
  ['prefix', hex('00000000000000000000ffffc0000200'), '192.0.2.0/24'],
  ['prefix', hex('20010db8000100000000000000000000'), '2001:db8:1::/48'],
  ['prefix', hex('00000000000000000000000000000000'), '::/48'],
  ['ethertype', hex('0800'), 'IPv4'],
  ['ethertype', hex('86dd'), 'IPv6'],
  ['ethertype', hex('0806000000000000'), 'ARP'],
  ['ethertype', hex('88b5'), '0x88b5'],
  ['ethertype', hex('0000'), 'none'],
  ['text', text('virtio0-reporting_vq', 32), 'virtio0-reporting_vq'],
  ['text', text('sda', 32), 'sda'],
];

for (const [meaning, bytes, expected] of cases) {
  test(`${meaning}: ${Buffer.from(bytes).toString('hex')} is ${expected}`, () => {
    assert.equal(decode(meaning, bytes), expected);
  });
}

test('ipv6: any 16 bytes are an address, in one spelling, and no two are the same', () => {
  const address = fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 });
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(address, (bytes) => {
      const shown = decode('ipv6', bytes);
      assert.ok(isIPv6(shown) || isIPv4(shown), shown);
      if (isIPv6(shown)) assert.equal(new URL(`http://[${shown}]`).hostname, `[${shown}]`, 'as RFC 5952 writes it');
      const key = bytes.join();
      assert.equal(seen.get(shown) ?? key, key);
      seen.set(shown, key);
    }),
    { numRuns: 2000 },
  );
});

test('every meaning shows bytes of a size that is not its own as some text', () => {
  for (const meaning of ['softirq', 'exit', 'port', 'device', 'ipv4', 'ipv6', 'prefix', 'ethertype', 'text'])
    for (const size of [1, 2, 4, 8]) assert.equal(typeof decode(meaning, word(200, size)), 'string');
});
