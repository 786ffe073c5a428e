/** Bugs worth fearing, each one small change of the sources. The general oracle has to find them; no test names one. */
import type { PlantedBug } from './mutate.ts';

export const bugs: readonly PlantedBug[] = [
  {
    name: 'skip the grace wait',
    file: 'services/agent/sealing.ts',
    find: `      l.phase = 'grace';
      out.add({ kind: 'wait-grace', directory: l.directory });
      return;
    case 'marking':`,
    replace: `      l.phase = 'grace';
      gracePassed(l, out);
      return;
    case 'marking':`,
  },
  {
    name: 'clear before durable',
    file: 'services/agent/sealing.ts',
    find: `!l.sealedSeen || l.durableThrough < l.control.generation - 1n) return;`,
    replace: `!l.sealedSeen) return;`,
  },
  {
    name: 'reuse a slot unverified',
    file: 'services/agent/sealing.ts',
    find: `  } else if (l.phase === 'clearing') {
    if (empty) {`,
    replace: `  } else if (l.phase === 'clearing') {
    if (empty || !empty) {`,
  },
  {
    name: 'trust a half-cleared slot',
    file: 'services/agent/sealing.ts',
    find: `    case 'clearing':
      clear(l, out);
      return;
    default:
      unreachable(control.state);`,
    replace: `    case 'clearing':
      l.phase = 'reopening';
      writeControl(l, { ...l.control, state: 'counting' }, out);
      return;
    default:
      unreachable(control.state);`,
  },
  {
    name: 'lose a keyframe definition',
    file: 'services/agent/publishing.ts',
    find: `    for (const s of g.sent) s.defined.fill(0);`,
    replace: ``,
  },
  {
    name: 'clear a sealed slot that was found on start',
    file: 'services/agent/sealing.ts',
    find: `    case 'sealed':
      l.phase = 'reading';
      readSealed(a, l, out);
      return;
    case 'clearing':
      clear(l, out);
      return;
    default:
      unreachable(`,
    replace: `    case 'sealed':
      clear(l, out);
      return;
    case 'clearing':
      clear(l, out);
      return;
    default:
      unreachable(`,
  },
  {
    name: 'announce before commit',
    file: 'services/aggregator/partition.ts',
    find: `  if (lineage && lineage.announced > 0n &&`,
    replace: `  if (lineage) lineage.announced = lineage.foldedThrough;
  if (lineage && lineage.announced > 0n &&`,
  },
  {
    name: 'drop the compare-and-set',
    file: 'services/aggregator/partition.ts',
    find: `  p.phase = 'halted';
  const cause = \`expected`,
    replace: `  if (found) {
    p.head = found;
    p.failed = p.inFlight;
    p.inFlight = undefined;
    return;
  }
  p.phase = 'halted';
  const cause = \`expected`,
  },
  {
    name: 'forget what a failed commit carried',
    file: 'services/aggregator/partition.ts',
    find: `  if (p.failed) {
    for (const [name, blob] of p.failed.put)`,
    replace: `  if (p.failed && p.commits < 0) {
    for (const [name, blob] of p.failed.put)`,
  },
  {
    name: 'count a folded generation again',
    file: 'services/aggregator/merge/merge.ts',
    find: `batch.generation <= lineage.foldedThrough`,
    replace: `batch.generation < lineage.foldedThrough`,
  },
  {
    name: 'fold a generation that is not complete',
    file: 'services/aggregator/merge/fold.ts',
    find: `t.sealed && t.rows.total() === t.seen`,
    replace: `t.sealed`,
  },
  {
    name: 'confuse the generations of a lineage',
    file: 'services/aggregator/merge/generations.ts',
    find: `lineage.open.find((g) => g.generation === generation);`,
    replace: `lineage.open.find((g) => g.generation >= generation - 1n);`,
  },
  {
    name: 'let a late value lower a total',
    file: 'services/shared/algebra/limbs.ts',
    find: `  if (high < 0 || (high === 0 && low <= 0)) return false;`,
    replace: `  if (high < 0) return false;`,
  },
  {
    name: 'lose the carry between two limbs',
    file: 'services/shared/algebra/limbs.ts',
    find: `+ high - (low < 0 ? 1 : 0) + (sLow > 0xffffffff ? 1 : 0);`,
    replace: `+ high - (low < 0 ? 1 : 0);`,
  },
  {
    name: 'put the retired sums of two generations into one place',
    file: 'services/agent/kernel/retired.ts',
    find: `Number(generation & 1n) * retiredWords`,
    replace: `Number(generation & 0n) * retiredWords`,
  },
  {
    name: 'forget the base when a checkpoint is loaded',
    file: 'services/aggregator/checkpoint/restore.ts',
    find: `if (name.kind === 'base') state.hosts.get(name.host)`,
    replace: `if (name.kind === 'base' && blob.length === 0) state.hosts.get(name.host)`,
  },
  {
    name: 'record a generation as retired without its sum',
    file: 'services/agent/sealing.ts',
    find: `  const seen = l.retiredSeen.map((sum, t) => BigInt.asUintN(64, sum + l.sealedSeen![t]!));`,
    replace: `  const seen = l.retiredSeen.map((sum) => sum);`,
  },
  {
    name: 'leave out the overflow row',
    file: 'services/agent/batch/changed-rows.ts',
    find: `for (let row = 0, at = 0; row < count; row++, at += stride) {`,
    replace: `for (let row = 1, at = stride; row < count; row++, at += stride) {`,
  },
  {
    name: 'merge a message whose checksum differs',
    file: 'services/shared/contract/batch.ts',
    find: `  if (stated !== xxh32(body)) throw`,
    replace: `  if (stated !== xxh32(body) && body.length === 0) throw`,
  },
  {
    name: 'leave the old program attached',
    file: 'services/loader/load/choose.ts',
    find: `  const end = live.filter((p) => p !== adopted).map((p) => p.uuid);`,
    replace: `  const end = live.filter((p) => p !== adopted && p.linked.length === 0).map((p) => p.uuid);`,
  },
  {
    name: 'give two starts of an agent the same message ids',
    file: 'services/agent/bus/message-id.ts',
    find: `-\${startId}-`,
    replace: `-\${startId.length > 0 ? '' : startId}-`,
  },
  {
    name: 'cut a counter at 2^32',
    file: 'services/shared/contract/columns.ts',
    find: `w.u64(c.values[i]!, c.values[i + 1]!);`,
    replace: `w.u64(c.values[i]!, 0);`,
  },
  {
    name: 'add to a cell in two instructions, where a program may run within another',
    file: 'test/simulation/kernel.ts',
    find: `    raise(this.ledger, cpu * 10, n);
  }

  /** The row's part of it; \`race\`: another CPU inserts the same key at once; \`second\`: that it falls into, 0…9. */
  finish(cpu: number, key: number, n: number, sum: number, race: boolean, second = 0): void {
    const row = this.rowOf(cpu, key, n, race);
    const { rows, valueCount } = this.schema;
    const at = (cpu * (rows + 1) + row) * valueCount * 2;
    raise(this.cells, at, n);`,
    replace: `    raise(this.ledger, cpu * 10, n);
    this.loaded[cpu] = this.cells.slice();
  }
  private readonly loaded: Uint32Array[] = [];

  finish(cpu: number, key: number, n: number, sum: number, race: boolean, second = 0): void {
    const row = this.rowOf(cpu, key, n, race);
    const { rows, valueCount } = this.schema;
    const at = (cpu * (rows + 1) + row) * valueCount * 2;
    this.cells.set(this.loaded[cpu]!.subarray(at, at + 2), at);
    raise(this.cells, at, n);`,
  },
  {
    name: 'announce a checkpoint that may still be undone',
    file: 'services/aggregator/partition.ts',
    find: `      if (lineage.committed > lineage.announced) {`,
    replace: `      lineage.committed = lineage.committing;
      if (lineage.committed > lineage.announced) {`,
  },
  {
    name: 'tell by second what a read over minutes brings',
    file: 'services/aggregator/merge/seconds.ts',
    find: `const spanMax = 8n;`,
    replace: `const spanMax = 800n;`,
  },
  {
    name: 'date what follows a message that did not come as if it had',
    file: 'services/aggregator/merge/seconds.ts',
    find: ` || missing || `,
    replace: ` || `,
  },
];
