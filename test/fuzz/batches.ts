/** Fuzzed messages on the bus: right ones, right ones with wrong fields, and damaged ones with a right checksum or none. */
import { type Batch, decodeBatch, encodeBatch } from '../../services/shared/contract/batch.ts';
import { wireNewest } from '../../services/shared/contract/wire.ts';
import { Bench, ModelLineage } from '../aggregator/fixtures.ts';
import type { Random } from '../simulation/random.ts';

/** A state lives this long, so that memory is bounded by it and not by the run. */
const messagesPerLife = 5000;
const messagesPerCommit = 250;

function spoil(r: Random, payload: Uint8Array): Uint8Array {
  const batch = decodeBatch(payload);
  const number = (): bigint => r.pick([0n, 1n, 2n ** 63n, 2n ** 64n - 1n, BigInt(r.next())]);
  const lineage = batch.lineage!;
  const wrong: (() => Partial<Batch>)[] = [
    () => ({ generation: number() }),
    () => ({ readBoottimeNs: number(), readWallNs: number() }),
    () => ({ intervalNs: number(), sequence: number() }),
    () => ({ host: r.pick(['', 'web-2', '__proto__', 'x'.repeat(300)]) }),
    () => ({ lineage: { ...lineage, schemaHash: number() } }),
    () => ({ lineage: { ...lineage, createdBoottimeNs: number(), createdWallNs: number() } }),
    () => ({ lineage: { ...lineage, uuid: Buffer.from(r.bytes(r.below(20))) } }),
    () => ({ schemaJson: r.pick(['', '[]', '{', 'null', '[{"name":"__proto__"}]']), keyframe: true }),
    () => ({ tables: batch.tables.map((t) => ({ ...t, columns: Buffer.from(r.bytes(r.below(200))) })) }),
    () => ({ tables: batch.tables.map((t) => ({ ...t, table: r.pick(['', 'nope', '__proto__']) })) }),
    () => ({
      tables: batch.tables.map((t) => ({ ...t, retiredSeen: number(), ledger: { seen: number(), failed: [] } })),
    }),
    () => ({ tables: [...batch.tables, ...batch.tables] }),
    () => ({ part: r.next(), parts: r.next() }),
    () => ({ wireVersion: r.pick([0, wireNewest + 1, 2 ** 31]) }),
  ];
  return encodeBatch({ ...batch, ...r.pick(wrong)() });
}

function damage(r: Random, payload: Uint8Array): Uint8Array {
  const bytes = r.chance(0.5) ? payload.slice(0, r.below(payload.length + 1)) : payload.slice();
  for (let n = r.below(4); n > 0 && bytes.length > 0; n--) bytes[r.below(bytes.length)] = r.below(256);
  return bytes;
}

export function createBatchFuzz(random: Random): (i: number) => { outcome: string; through: boolean } {
  let bench!: Bench;
  let lineages: ModelLineage[] = [];
  let atS = 1;
  return (i) => {
    if (i % messagesPerLife === 0) {
      lineages = [1, 2, 3].map((uuid) => new ModelLineage({ uuid, probe: `probe_${uuid}` }));
      bench = new Bench(lineages[0]!.partition);
      atS = 1;
    }
    atS += random.chance(0.2) ? 1 : 0.01;
    bench.nowMs += 50;
    const lineage = random.pick(lineages);
    if (random.chance(0.002)) lineage.seal();
    lineage.count(`c${random.below(40)}`, 1 + random.below(1000));
    const message = lineage.message(atS);
    const kind = random.below(10);
    const payload =
      kind < 6 ? message.payload : kind < 9 ? spoil(random, message.payload) : damage(random, message.payload);
    const { reasons } = bench.core.merged.poison;
    const before = new Map(reasons);
    bench.effects.length = 0;
    bench.batch({ subject: random.chance(0.01) ? `muster.v1.batch.${random.below(99)}` : message.subject, payload });
    if ((i + 1) % messagesPerCommit === 0) bench.commit();
    for (const [reason, n] of reasons) if (n !== before.get(reason)) return { outcome: reason, through: false };
    return { outcome: 'merged', through: true };
  };
}
