/**
 * ipv4, ipv6, prefix: addresses in network order, as RFC 5952 writes them. 16 bytes may hold an IPv4 address
 * (::ffff:a.b.c.d), which is shown as one. A prefix is an address with the rest zeroed by the kernel side:
 * "192.0.2.0/24" or "2001:db8:1::/48".
 */
import type { Decoder, Meaning } from './meaning.ts';
import { unsigned } from './number.ts';

const v4 = (keys: DataView, at: number): string =>
  `${keys.getUint8(at)}.${keys.getUint8(at + 1)}.${keys.getUint8(at + 2)}.${keys.getUint8(at + 3)}`;

const holdsV4 = (keys: DataView, at: number): boolean =>
  keys.getBigUint64(at) === 0n && keys.getUint32(at + 8) === 0xffff;

function v6(keys: DataView, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => keys.getUint16(at + i * 2));
  // The longest run of zeros, the first of several; a single zero is written out.
  let from = 0;
  let longest = 1;
  for (let i = 0, run = 0; i < 8; i++) {
    run = groups[i] === 0 ? run + 1 : 0;
    if (run > longest) {
      longest = run;
      from = i - run + 1;
    }
  }
  const text = (part: number[]): string => part.map((g) => g.toString(16)).join(':');
  return longest > 1 ? `${text(groups.slice(0, from))}::${text(groups.slice(from + longest))}` : text(groups);
}

/** A key member of another size than an address is a number. */
const ofSize =
  (wanted: (size: number) => boolean, decoder: (offset: number, size: number) => Decoder): Meaning =>
  (label, context) =>
    wanted(label.size) ? decoder(label.offset, label.size) : unsigned(label, context);

/** Also 8 bytes, of which the first four are the address. */
export const ipv4 = ofSize(
  (size) => size === 4 || size === 8,
  (offset) => (keys, at) => v4(keys, at + offset),
);

export const ipv6 = ofSize(
  (size) => size === 16,
  (offset) => (keys, at) => {
    const start = at + offset;
    return holdsV4(keys, start) ? v4(keys, start + 12) : v6(keys, start);
  },
);

export const prefix = ofSize(
  (size) => size === 16,
  (offset) => (keys, at) => {
    const start = at + offset;
    return holdsV4(keys, start) ? `${v4(keys, start + 12)}/24` : `${v6(keys, start)}/48`;
  },
);
