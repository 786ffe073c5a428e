/**
 * Subjects of the bus. The host is one token: every byte outside [A-Za-z0-9_-] is written as =XX, so that dots,
 * wildcards and spaces in a host name are harmless. The partition is a stable hash of the host.
 */
import { xxh32 } from './checksum.ts';

/** Fixed: a change would move hosts between partitions. */
export const partitionCount = 64;

export const streamName = 'MUSTER';
export const streamSubjects = 'muster.v1.batch.>';

/** All subjects of one partition, malformed ones too: what the stream stores, some consumer gets. */
export const partitionSubjects = (partition: number): string => `muster.v1.batch.${partition}.>`;

const utf8 = new TextEncoder();

export function encodeHost(host: string): string {
  let token = '';
  for (const byte of utf8.encode(host)) {
    const char = String.fromCharCode(byte);
    token += /[A-Za-z0-9_-]/.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token;
}

/** The host of a token, or undefined when the token is not one that encodeHost writes. */
export function decodeHost(token: string): string | undefined {
  if (!/^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/.test(token)) return undefined;
  const bytes = token
    .match(/=[0-9A-F]{2}|./g)!
    .map((t) => (t.length === 3 ? parseInt(t.slice(1), 16) : t.charCodeAt(0)));
  try {
    const host = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
    return encodeHost(host) === token ? host : undefined;
  } catch {
    return undefined;
  }
}

export const partitionOf = (host: string): number => xxh32(utf8.encode(host)) % partitionCount;

export const batchSubject = (host: string): string => `muster.v1.batch.${partitionOf(host)}.${encodeHost(host)}`;
export const resyncSubject = (host: string): string => `muster.v1.resync.${encodeHost(host)}`;
export const refusedSubject = (host: string): string => `muster.v1.refused.${encodeHost(host)}`;
export const durableSubject = (host: string): string => `muster.v1.durable.${encodeHost(host)}`;

/** Partition and host of a batch subject, or undefined when it is not one, or the partition is not the host's. */
export function parseBatchSubject(subject: string): { partition: number; host: string } | undefined {
  const match = /^muster\.v1\.batch\.(\d{1,2})\.([^.]+)$/.exec(subject);
  const host = match && decodeHost(match[2]!);
  if (!host || Number(match[1]) !== partitionOf(host)) return undefined;
  return { partition: Number(match[1]), host };
}
