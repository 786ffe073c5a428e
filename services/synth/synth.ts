/**
 * The core of the synthetic fleet: each host is a kernel (fleet/table.ts) and an agent in one. Events in, messages
 * out; what was counted is known to the last event, whatever became of the messages.
 *
 * A host has one message in flight, or two when it seals. While one is unsettled it does not read: its kernel counts on.
 */
import { batchSubject } from '../shared/contract/subjects.ts';
import type { TableSchema } from '../shared/contract/lineage.ts';
import { composeBatch, type Envelope } from './fleet/compose.ts';
import type { FleetPlan } from './config.ts';
import {
  addTo,
  capacityOf,
  churnKeys,
  countInterval,
  createKernelTable,
  fraction,
  hashOf,
  type KernelTable,
  schemaOf,
  seal,
  services,
} from './fleet/table.ts';

export interface Instant {
  readonly boottimeNs: bigint;
  readonly wallNs: bigint;
}

export type SynthEvent =
  | { readonly kind: 'read'; readonly host: number; readonly at: Instant }
  /** The last read: only what was counted and never sent goes out. */
  | { readonly kind: 'finish'; readonly host: number; readonly at: Instant }
  | { readonly kind: 'settled'; readonly host: number; readonly stored: boolean }
  | { readonly kind: 'resync'; readonly host: number }
  | { readonly kind: 'durable'; readonly host: number; readonly uuid: Uint8Array; readonly generation: bigint };

export interface Publish {
  readonly host: number;
  readonly subject: string;
  readonly id: string;
  readonly payload: Uint8Array;
}

interface Host {
  readonly name: string;
  readonly subject: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Counts the boots, from 1. */
  life: number;
  uuid: Buffer;
  bootId: Buffer;
  created: Instant;
  table: KernelTable;
  /** A generation that is not known to be durable, and whether the stream has it. */
  sealed: { readonly table: KernelTable; stored: boolean } | undefined;
  definedThrough: number;
  /** First row that may have counted since the last message: those that end while nothing is sent are sent late. */
  changedFrom: number;
  /** The next message must be a keyframe. */
  whole: boolean;
  unsent: boolean;
  unsettled: number;
  sequence: bigint;
  readsOfLife: number;
}

export interface Fleet {
  readonly plan: FleetPlan;
  readonly schema: TableSchema;
  readonly schemaJson: string;
  readonly hosts: Host[];
  /** Counted by tables that are gone, by service. */
  readonly ended: bigint[];
  readonly sent: {
    reads: number;
    held: number;
    batches: number;
    rows: number;
    bytes: number;
    restarts: number;
    sealed: number;
  };
}

/** Reads of one round of a late host, and how many of them it is silent for. */
const lateRound = 60;
const lateReads = 20;
const keyframeEveryReads = 300;

export function createFleet(plan: FleetPlan): Fleet {
  const schema = schemaOf(capacityOf(plan.rows, plan.churn));
  const fleet: Fleet = {
    plan,
    schema,
    schemaJson: JSON.stringify([schema]),
    hosts: [],
    ended: new Array<bigint>(services).fill(0n),
    sent: { reads: 0, held: 0, batches: 0, rows: 0, bytes: 0, restarts: 0, sealed: 0 },
  };
  const none: Instant = { boottimeNs: 0n, wallNs: 0n };
  for (let i = 0; i < plan.hosts; i++) {
    const name = nameOf(plan, i);
    fleet.hosts.push({
      name,
      subject: batchSubject(name),
      labels: { fleet: 'synthetic', zone: `zone-${(plan.first + i) % 4}` },
      life: 0,
      uuid: Buffer.alloc(16),
      bootId: Buffer.alloc(16),
      created: none,
      table: createKernelTable(0, 0, false, 0),
      sealed: undefined,
      definedThrough: 0,
      changedFrom: 1,
      whole: true,
      unsent: false,
      unsettled: 0,
      sequence: 0n,
      readsOfLife: 0,
    });
  }
  return fleet;
}

export const nameOf = (plan: FleetPlan, host: number): string => `synth-${String(plan.first + host).padStart(5, '0')}`;

export function step(fleet: Fleet, event: SynthEvent): Publish[] {
  const host = fleet.hosts[event.host]!;
  switch (event.kind) {
    case 'read':
      return read(fleet, event.host, event.at);
    case 'finish':
      return host.unsettled === 0 && isUnsent(host) ? send(fleet, event.host, event.at) : [];
    case 'settled':
      host.unsettled--;
      if (!event.stored) {
        host.whole = host.unsent = true;
        if (host.sealed) host.sealed.stored = false;
      }
      return [];
    case 'resync':
      host.whole = true;
      if (host.sealed) host.sealed.stored = false;
      return [];
    case 'durable':
      if (host.sealed && host.uuid.equals(event.uuid) && event.generation >= host.sealed.table.generation)
        host.sealed = undefined;
      return [];
  }
}

/** True when something was counted that the stream does not have. */
export const isUnsent = (host: Fleet['hosts'][number]): boolean =>
  host.life > 0 && (host.unsent || host.unsettled > 0 || host.sealed?.stored === false);

function read(fleet: Fleet, index: number, at: Instant): Publish[] {
  const { plan, sent } = fleet;
  const host = fleet.hosts[index]!;
  const { table } = host;
  sent.reads++;
  const over = plan.restarts > 0 && host.readsOfLife >= plan.restarts + (index % 7) && !isUnsent(host);
  if (host.life === 0 || over) return boot(fleet, index, at);
  host.readsOfLife++;
  if (plan.churn > 0 && !churnKeys(table, plan.churn) && !host.sealed && host.unsettled === 0) {
    host.sealed = { table: seal(table), stored: false };
    addTo(fleet.ended, host.sealed.table);
    host.whole = true;
    sent.sealed++;
  }
  countInterval(table, index + host.readsOfLife);
  host.unsent = true;
  const late = fraction(plan.first + index) * 100 < plan.late && host.readsOfLife % lateRound >= lateRound - lateReads;
  if (host.unsettled > 0) sent.held++;
  if (host.unsettled > 0 || late) return [];
  if ((host.readsOfLife + index) % keyframeEveryReads === 0) host.whole = true;
  return send(fleet, index, at);
}

/** The machine starts: a new boot, a new lineage, and the first read one interval later. */
function boot(fleet: Fleet, index: number, at: Instant): Publish[] {
  const { plan } = fleet;
  const host = fleet.hosts[index]!;
  if (host.life > 0) {
    addTo(fleet.ended, host.table);
    fleet.sent.restarts++;
  }
  host.life++;
  host.uuid = identity(`${plan.seed}/${host.name}/${host.life}/lineage`);
  host.bootId = identity(`${plan.seed}/${host.name}/${host.life}/boot`);
  host.created = { boottimeNs: at.boottimeNs - plan.intervalNs, wallNs: at.wallNs - plan.intervalNs };
  host.table = createKernelTable(plan.rows, fleet.schema.rows, plan.wide, plan.first + index);
  countInterval(host.table, index);
  host.sealed = undefined;
  host.whole = true;
  host.unsent = true;
  host.readsOfLife = 1;
  return send(fleet, index, at);
}

function send(fleet: Fleet, index: number, at: Instant): Publish[] {
  const { plan, sent } = fleet;
  const host = fleet.hosts[index]!;
  const messages: Publish[] = [];
  const message = (table: KernelTable, whole: boolean, sealed: boolean): void => {
    const envelope: Envelope = {
      host: host.name,
      hostLabels: host.labels,
      lineage: {
        probe: 'synthetic',
        uuid: host.uuid,
        bootId: host.bootId,
        createdBoottimeNs: host.created.boottimeNs,
        createdWallNs: host.created.wallNs,
        schemaHash: hashed(fleet),
        detachedWallNs: 0n,
      },
      schemaJson: fleet.schemaJson,
      sequence: ++host.sequence,
      readBoottimeNs: at.boottimeNs,
      readWallNs: at.wallNs,
      intervalNs: plan.intervalNs,
    };
    const payload = composeBatch(envelope, table, {
      from: host.changedFrom,
      defineFrom: host.definedThrough + 1,
      whole,
      sealed,
    });
    const id = `${host.uuid.toString('hex')}-${table.generation}-${plan.seed}-${host.sequence}`;
    messages.push({ host: index, subject: host.subject, id, payload });
    sent.batches++;
    sent.rows += whole ? table.rowsIssued : table.rowsIssued - host.changedFrom + 1;
    sent.bytes += payload.length + host.subject.length + id.length + overheadBytes;
    host.unsettled++;
  };
  if (host.sealed?.stored === false) {
    host.sealed.stored = true;
    message(host.sealed.table, true, true);
  }
  message(host.table, host.whole, false);
  host.definedThrough = host.table.rowsIssued;
  host.changedFrom = host.table.firstAlive;
  host.whole = host.unsent = false;
  return messages;
}

/** Header block and control line of a published message, without subject, id and payload. */
const overheadBytes =
  'NATS/1.0\r\nNats-Msg-Id: \r\nNats-Expected-Stream: MUSTER\r\n\r\n'.length +
  'HPUB  _INBOX.0123456789012345678901.012345 100 100000\r\n\r\n'.length;

let known: { readonly schema: TableSchema; readonly hash: bigint } | undefined;
function hashed({ schema }: Fleet): bigint {
  if (known?.schema !== schema) known = { schema, hash: hashOf(schema) };
  return known.hash;
}

/** 16 bytes that follow from a text. */
function identity(text: string): Buffer {
  const bytes = Buffer.alloc(16);
  for (let i = 0; i < 4; i++) bytes.writeUInt32LE(Math.floor(fraction(hashText(text, i)) * 0x1_0000_0000), i * 4);
  return bytes;
}

function hashText(text: string, salt: number): number {
  let h = Math.imul(salt + 1, 0x9e3779b1);
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) ^ (h >>> 15);
  return h;
}
