/** From one image to messages: kernel/ → labels/ → batch/ → bus/ for one generation of one lineage. */
import { toBigInt } from '../shared/algebra/limbs.ts';
import type { Definition } from '../shared/contract/columns.ts';
import { takeImage, foldUnknownRows, sumOfRows, type TableRows } from './kernel/table-rows.ts';
import { decodeLabels } from './labels/decoders.ts';
import type { Decoder } from './labels/meaning.ts';
import { collectChanged, createChangedRows, markSent, type ChangedRows, type SentRows } from './batch/changed-rows.ts';
import { envelopeBytes, type Envelope } from './batch/compose.ts';
import { planParts, type TableUpdate } from './batch/parts.ts';
import { messageId } from './bus/message-id.ts';
import { decodeGoverned } from '../shared/contract/control.ts';
import type { Missing } from '../shared/contract/lineage.ts';
import { clockAgrees, clockOffset } from '../shared/contract/seconds.ts';
import type { AgentState, Effects } from './agent-state.ts';
import type { LineageImage } from './effects.ts';
import type { GenerationRows, LineageState } from './lineage-state.ts';

const second = 1_000_000_000n;

/** Takes an image into the generation's rows. */
export function takeTables(l: LineageState, g: GenerationRows, image: LineageImage): void {
  g.startedAtNs ??= image.readAt.boottimeNs;
  l.programs = image.programs;
  g.tables.forEach((rows, t) => takeImage(rows, image.tables[t]!, l.meta.cpus, image.keys[t]!, image.keysFrom[t]!));
}

/** Checks a sealed generation's equation and returns `seen` by table; a violation is an alarm with the numbers. */
export function settleSealed(l: LineageState, g: GenerationRows, out: Effects): bigint[] {
  return g.tables.map((rows) => {
    const { directory } = l;
    const table = rows.schema.name;
    const folded = foldUnknownRows(rows);
    if (folded > 0)
      out.log('error', 'sealed rows have no valid key: counted as overflow', {
        lineage: directory,
        table,
        rows: folded,
      });
    const seen = toBigInt(rows.ledger, 0);
    const sum = toBigInt(sumOfRows(rows), 0);
    if (seen !== sum) {
      out.add({ kind: 'alarm', directory, table, generation: g.generation, seen, sum });
      out.log('error', 'sealed generation does not add up: seen differs from the sum of its rows', {
        lineage: directory,
        table,
        generation: String(g.generation),
        seen: String(seen),
        sum: String(sum),
      });
    }
    return seen;
  });
}

/** Sends what the image changed, or everything for a keyframe; returns the tokens of the messages. */
export function publishUpdate(
  a: AgentState,
  l: LineageState,
  g: GenerationRows,
  image: LineageImage,
  sealed: boolean,
  out: Effects,
): number[] {
  const { config } = a;
  const at = image.readAt.boottimeNs;
  const keyframe = sealed || g.keyframeDue || at - g.keyframeAtNs >= config.limits.keyframeEveryNs;
  if (keyframe) {
    g.keyframeDue = false;
    g.keyframeAtNs = at;
    for (const s of g.sent) s.defined.fill(0);
  }
  const ageS = Number((at - (g.startedAtNs ?? at)) / second);
  const updates: TableUpdate[] = [];
  g.tables.forEach((rows, t) => {
    const changed = (a.changed[t] ??= createChangedRows());
    collectChanged(rows, g.sent[t]!, keyframe, ageS, changed);
    const definitions = newDefinitions(rows, g.sent[t]!, changed, l.decoders[t]!);
    const sent = keyframe ? undefined : g.sent[t]!;
    updates.push({ rows, changed, definitions, sent, retiredSeen: retiredBefore(l, sealed, t) });
  });
  const envelope: Envelope = {
    host: config.host,
    lineage: l.ref,
    generation: g.generation,
    sealed,
    readBoottimeNs: at,
    readWallNs: image.readAt.wallNs,
    intervalNs: config.intervalNs,
    governed: image.governed ? decodeGoverned(image.governed) : undefined,
    seconds: secondsOf(l, image, out),
    programs: image.programs.map((p) => ({
      ...p,
      skipped: skipsCounted(l, p.program) ? p.skipped : undefined,
      period: l.measured.get(p.program),
    })),
    keyframe: keyframe
      ? {
          hostLabels: config.hostLabels,
          kernelRelease: config.kernelRelease,
          schemaJson: l.schemaJson,
          kernelBytes: l.meta.billBytes === undefined ? undefined : BigInt(Math.round(l.meta.billBytes)),
          hooks: new Map(l.meta.programs.map((p) => [p.name, p.hook])),
          missing: missingOf(a),
        }
      : undefined,
  };
  const parts = planParts(updates, Math.max(4096, config.limits.batchBytesMax - envelopeBytes(envelope, updates)));
  const tokens = parts.map((part, i) => {
    const token = a.nextToken++;
    const sequence = ++a.sequence;
    const payload = a.compose(envelope, updates, part, i + 1, parts.length, sequence);
    const id = messageId(l.meta.uuid, g.generation, config.startId, sequence);
    a.tokens.set(token, l);
    l.inFlight.tokens.add(token);
    out.add({ kind: 'publish', directory: l.directory, subject: a.subject, id, payload, token });
    return token;
  });
  updates.forEach((u, t) => markSent(u.rows, g.sent[t]!, u.changed));
  return tokens;
}

function newDefinitions(
  rows: TableRows,
  sent: SentRows,
  changed: ChangedRows,
  decoders: readonly Decoder[],
): Definition[] {
  const definitions: Definition[] = [];
  const keyBytes = rows.schema.keyWords * 8;
  for (let k = 0; k < changed.count; k++) {
    const id = changed.ids[k]!;
    if (id !== 0 && sent.defined[id] === 0)
      definitions.push({ id, labels: decodeLabels(decoders, rows.keys, id * keyBytes) });
  }
  return definitions;
}

/** Σ seen of the generations before the one that is sent: the pinned record, and the sealed one that is not in it yet. */
function retiredBefore(l: LineageState, sealed: boolean, table: number): bigint {
  return l.retiredSeen[table]! + (sealed ? 0n : (l.sealedSeen?.[table] ?? 0n));
}

/**
 * By what the seconds of an image are to be dated; undefined where that cannot be told, as the clock was set meanwhile. Has
 * programs told the new time, then.
 */
function secondsOf(l: LineageState, { clock, readAt }: LineageImage, out: Effects): Envelope['seconds'] {
  if (!clock) return undefined;
  const presentNs = clockOffset(readAt);
  const steady = l.clockSteady;
  l.clockSteady = clockAgrees(clock.offsetNs, presentNs);
  if (!l.clockSteady) out.add({ kind: 'write-clock', directory: l.directory, offsetNs: presentNs });
  return steady && l.clockSteady ? clock : undefined;
}

/** What is told of them at most: messages are bounded. */
const missingMax = 64;
const reasonCharsMax = 200;

/** Probes that could not be loaded, and programs that the others count without. */
function missingOf(a: AgentState): Missing[] {
  const own = [...a.lineages.values()].flatMap((l) => (l.ended || l.gone ? [] : (l.meta.missing ?? [])));
  return [...a.missing, ...own].slice(0, missingMax).map((m) => ({ ...m, reason: m.reason.slice(0, reasonCharsMax) }));
}

/** Where this kind of hook has no counter of skipped runs, a zero would be a claim. */
const skipsCounted = (l: LineageState, program: string): boolean =>
  l.meta.programs.find((p) => p.name === program)?.skipsCounted ?? false;
