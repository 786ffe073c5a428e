/** Names and codecs of a checkpoint's blobs: proto/muster/v1/checkpoint.proto lists them. Segments are URI-encoded. */
import { MusterError } from '../runtime/errors.ts';

export { CheckpointHead, HostRecord, Quarantine, SeriesPage, WindowBlob } from './gen/muster/v1/checkpoint.ts';
export type {
  LedgerRecord,
  LineageRecord,
  ProgramRecord,
  QuarantinedMessage,
  UnknownSpan,
  WindowHost,
} from './gen/muster/v1/checkpoint.ts';

/** A reader refuses anything newer. */
export const checkpointFormat = 1;
/** Rows or series of one page. */
export const pageRows = 4096;

/** Window tiers: name, length and retention. */
export interface WindowTier {
  readonly name: string;
  readonly lengthMs: number;
  readonly retentionMs: number;
}
export const finestTier: WindowTier = { name: '10s', lengthMs: 10_000, retentionMs: 3_600_000 };

export type BlobName =
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'series'; readonly host: string; readonly table: string; readonly page: number }
  | { readonly kind: 'base'; readonly host: string; readonly table: string }
  | {
      readonly kind: 'last';
      readonly host: string;
      readonly lineage: string;
      readonly generation: bigint;
      readonly table: string;
      readonly page: number;
    }
  | {
      readonly kind: 'window';
      readonly tier: string;
      readonly startMs: number;
      readonly table: string;
      readonly part: number;
    }
  | { readonly kind: 'quarantine' };

/**
 * Key of a table new to a host: its name, or name~hash where the name stands for other labels, or for series numbers
 * whose labels were lost: windows keep their increments by number, and no number may ever get a second meaning.
 */
export function newTableKey(name: string, shape: bigint, taken: (key: string) => boolean): string {
  let key = name;
  for (let n = shape; taken(key); n = BigInt.asUintN(64, n + 1n)) key = `${name}~${n.toString(16).padStart(16, '0')}`;
  return key;
}

const e = encodeURIComponent;

export function formatBlobName(n: BlobName): string {
  switch (n.kind) {
    case 'host':
      return `host/${e(n.host)}`;
    case 'series':
      return `series/${e(n.host)}/${n.table}/${n.page}`;
    case 'base':
      return `base/${e(n.host)}/${n.table}`;
    case 'last':
      return `last/${e(n.host)}/${n.lineage}/${n.generation}/${n.table}/${n.page}`;
    case 'window':
      return `window/${n.tier}/${n.startMs}/${n.table}${n.part ? `/${n.part}` : ''}`;
    case 'quarantine':
      return 'quarantine';
  }
}

/** Throws MusterError store/corrupt for a name no version writes. */
export function parseBlobName(name: string): BlobName {
  try {
    const parsed = splitBlobName(name);
    if (parsed && formatBlobName(parsed) === name) return parsed;
  } catch {
    // Falls through: a name that cannot be read is a name no version writes.
  }
  throw new MusterError('store/corrupt', 'read checkpoint: unknown blob name', { values: { name } });
}

function splitBlobName(name: string): BlobName | undefined {
  const [kind, a, b, c, d, f] = name.split('/') as [string, string, string, string, string, string];
  const host = (): string => decodeURIComponent(a);
  if (kind === 'host' && a) return { kind, host: host() };
  if (kind === 'series' && c) return { kind, host: host(), table: b, page: Number(c) };
  if (kind === 'base' && b) return { kind, host: host(), table: b };
  if (kind === 'last' && f) return { kind, host: host(), lineage: b, generation: BigInt(c), table: d, page: Number(f) };
  if (kind === 'window' && c) return { kind, tier: a, startMs: Number(b), table: c, part: Number(d ?? 0) };
  return kind === 'quarantine' ? { kind } : undefined;
}
