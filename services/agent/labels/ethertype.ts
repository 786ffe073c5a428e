/**
 * ethertype: the protocol of a packet, in network order as the kernel has it: "IPv4", "IPv6", "ARP"; another one as
 * "0x88cc"; "none" where none was set. Source: UAPI linux/if_ether.h.
 */
import type { Meaning } from './meaning.ts';

const names: ReadonlyMap<number, string> = new Map([
  [0x0000, 'none'],
  [0x0800, 'IPv4'],
  [0x0806, 'ARP'],
  [0x8100, 'VLAN'],
  [0x86dd, 'IPv6'],
  [0x8863, 'PPPoE-discovery'],
  [0x8864, 'PPPoE'],
  [0x8847, 'MPLS'],
  [0x88a8, 'QinQ'],
  [0x88cc, 'LLDP'],
]);

export const ethertype: Meaning =
  ({ offset, size }) =>
  (keys, at) => {
    const type = size === 1 ? keys.getUint8(at + offset) : keys.getUint16(at + offset);
    return names.get(type) ?? `0x${type.toString(16).padStart(4, '0')}`;
  };
