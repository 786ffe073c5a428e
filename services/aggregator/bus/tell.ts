/** What the aggregator says to a host: core messages, at most once, nobody need listen (proto/muster/v1/batch.proto). */
import { Durable, Refused, Resync } from '../../shared/contract/batch.ts';
import { durableSubject, refusedSubject, resyncSubject } from '../../shared/contract/subjects.ts';

export interface Tell {
  readonly kind: 'tell';
  readonly subject: string;
  readonly payload: Uint8Array;
}

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** Send a keyframe; of every lineage when `lineageUuid` is empty. */
export const tellResync = (host: string, reason: string, lineageUuid: string): Tell => ({
  kind: 'tell',
  subject: resyncSubject(host),
  payload: Resync.encode({ reason, lineageUuid: bytes(lineageUuid) }).finish(),
});

/** A message of this host was quarantined; its agent's log is where whoever can mend it looks. */
export const tellRefused = (host: string, reason: string, detail: string): Tell => ({
  kind: 'tell',
  subject: refusedSubject(host),
  payload: Refused.encode({ reason, detail }).finish(),
});

/** This generation and all before it are durable and folded. The identity is the whole lineage's. */
export const tellDurable = (
  host: string,
  lineage: { readonly bootId: string; readonly uuid: string },
  generation: bigint,
): Tell => ({
  kind: 'tell',
  subject: durableSubject(host),
  payload: Durable.encode({ bootId: bytes(lineage.bootId), lineageUuid: bytes(lineage.uuid), generation }).finish(),
});
