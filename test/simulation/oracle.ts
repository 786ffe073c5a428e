/**
 * The recount. The kernels know what they counted; the store says what a caller would be told. In the end, of every
 * host, table and key: answer = truth, or the difference stands in the ledger as lost, or it is of a lineage that
 * nobody can read any more and the host says when that was. While the world is hostile: never more than the truth.
 */
import { toBigInt } from '../../services/shared/algebra/limbs.ts';
import type { Fleet } from '../../services/query/checkpoint/fleet.ts';
import { askTotals, readFleet } from './asking.ts';
import { labelNames } from './catalogue.ts';
import { readPartition, type HostReading, type TableReading } from './reading.ts';
import type { SimHost } from './host.ts';
import type { SimLineage } from './pins.ts';
import type { World } from './world.ts';

/** Truth of a table by series, '' the overflow row. */
function truthOf(lineages: readonly SimLineage[], table: string): Map<string, bigint> {
  const truth = new Map<string, bigint>();
  for (const l of lineages) {
    const t = l.model.tables.findIndex((s) => s.name === table);
    if (t < 0) continue;
    const { series } = l.model.keys[t]!;
    for (let key = 0; key <= series.length; key++) {
      const n = toBigInt(l.truth[t]!, key * 2);
      if (n > 0n) truth.set(series[key] ?? '', (truth.get(series[key] ?? '') ?? 0n) + n);
    }
  }
  return truth;
}

const sum = (values: Iterable<bigint>): bigint => {
  let total = 0n;
  for (const v of values) total += v;
  return total;
};

export interface History {
  /** The store went back, lost all, or was damaged: what it held of ended lineages may be gone, and is then unknown. */
  readonly storeFaults: boolean;
  /** Of these: damaged. */
  readonly damaged: boolean;
  /** Windows cannot all be dated. */
  readonly datesFaults: boolean;
}

/** Complaints about the settled world; empty when every event is accounted for. */
export function checkSettled(world: World, history: History): string[] {
  const wrong: string[] = [];
  const readings = new Map<string, HostReading>();
  for (const partition of world.partitions)
    for (const [host, r] of readPartition(world.store, partition)) readings.set(host, r);
  const fleet = readFleet(world.store);
  for (const { host } of world.machines) {
    const reading = readings.get(host.name);
    if (!reading) {
      wrong.push(`${host.name}: no record`);
      continue;
    }
    for (const table of tablesOf(host)) {
      const say = (what: string): void => void wrong.push(`${host.name}/${table}: ${what}`);
      checkTable(host, table, reading, history, say);
      checkAnswer(world, fleet, host, table, reading, say);
    }
  }
  return wrong;
}

const tablesOf = (host: SimHost): Set<string> =>
  new Set(
    [...host.lineages.values(), ...host.past.map((p) => p.lineage)].flatMap((l) => l.model.tables.map((t) => t.name)),
  );

function checkTable(
  host: SimHost,
  table: string,
  reading: HostReading,
  history: History,
  wrong: (what: string) => void,
): void {
  const whole = [
    ...host.lineages.values(),
    ...host.past.filter((p) => p.loss === undefined && !history.storeFaults).map((p) => p.lineage),
  ];
  const partial = host.past.filter((p) => p.loss !== undefined || history.storeFaults).map((p) => p.lineage);
  const least = truthOf(whole, table);
  const most = truthOf([...whole, ...partial], table);
  const found: TableReading = reading.tables.get(table) ?? {
    totals: new Map(),
    windows: new Map(),
    lost: 0n,
    quarantined: 0n,
  };
  const { lost } = found;
  if (lost > 0n && partial.length === 0 && !history.storeFaults) wrong(`lost ${lost} though the store never went back`);
  if (found.quarantined > 0n) wrong(`quarantined ${found.quarantined} though no two lineages counted the same`);
  for (const name of new Set([...least.keys(), ...found.totals.keys()])) {
    const answer = found.totals.get(name) ?? 0n;
    const low = least.get(name) ?? 0n;
    const high = most.get(name) ?? 0n;
    const shown = name === '' ? 'overflow' : name;
    if (answer > high) wrong(`${shown}: ${answer} counted of ${high}`);
    if (answer < low && lost === 0n) wrong(`${shown}: ${answer} counted of at least ${low}`);
    // Increments whose labels are lost with a damaged checkpoint are nobody's.
    const windows = found.windows.get(name) ?? 0n;
    // Windows outlive totals that a store has lost, but hold only what happened; after damage the host says they may not.
    if (!history.damaged && windows > (history.storeFaults ? high : answer))
      wrong(`${shown}: windows hold ${windows} of ${history.storeFaults ? high : answer}`);
  }
  const answered = sum(found.totals.values()) + lost;
  const low = sum(least.values());
  const high = sum(most.values());
  if (answered < low)
    wrong(`total ${answered} (${lost} lost) of ${low}: ${low - answered} events are missing and nobody says so`);
  if (answered > high) wrong(`total ${answered} (${lost} lost) of ${high}: ${answered - high} too many`);
  const probe = [...host.lineages.values()].find((l) => l.model.tables.some((t) => t.name === table))?.model.probe;
  const unknown = reading.record.unknown.filter((u) => u.probe === probe);
  // A store that never heard of an ended lineage knows nothing from before it first heard of the host, and claims nothing.
  const heardOf = partial.some(
    (p) => p.model.probe === probe && reading.record.lineages.some((l) => l.uuid.toString('hex') === p.uuid),
  );
  if (answered < high && unknown.length === 0 && heardOf)
    wrong(`${high - answered} events of ended lineages are missing and no time is unknown`);
  if (unknown.length === 0 && !history.datesFaults && sum(found.windows.values()) !== sum(found.totals.values())) {
    wrong(`windows hold ${sum(found.windows.values())} of ${sum(found.totals.values())} though nothing is unknown`);
  }
}

/** The query service says the same, and calls nothing exact that is not. */
function checkAnswer(
  world: World,
  fleet: Fleet,
  host: SimHost,
  table: string,
  reading: HostReading,
  wrong: (what: string) => void,
): void {
  const schema = [...host.lineages.values()].flatMap((l) => l.model.tables).find((t) => t.name === table);
  const found = reading.tables.get(table);
  if (!schema || !found) return;
  const labels = labelNames(schema);
  const answer = askTotals(fleet, table, host.name, labels, world.aggregatorMs);
  const expected = new Map<string, bigint>();
  for (const [name, value] of found.totals) {
    const shown = name === '' ? '' : name.split('|').slice(0, labels.length).join('|');
    expected.set(shown, (expected.get(shown) ?? 0n) + value);
  }
  const total = sum(found.totals.values());
  if (answer.total !== total) wrong(`a query answers ${answer.total} in total, the checkpoint holds ${total}`);
  for (const [name, value] of expected) {
    if (name !== '' && answer.rows.get(name) !== value)
      wrong(`a query answers ${answer.rows.get(name)} for ${name}, the checkpoint holds ${value}`);
  }
  if (answer.lost !== found.lost) wrong(`a query answers ${answer.lost} lost, the checkpoint holds ${found.lost}`);
  const truth = sum(truthOf([...host.lineages.values(), ...host.past.map((p) => p.lineage)], table).values());
  if (answer.exact && !knowsLess(host, reading) && total !== truth)
    wrong(`a query calls ${total} exact where ${truth} were counted`);
}

/** The store never heard of some lineage of the past, and claims nothing from before it first heard of the host. */
const knowsLess = (host: SimHost, reading: HostReading): boolean =>
  host.past.some(({ lineage }) => !reading.record.lineages.some((l) => l.uuid.toString('hex') === lineage.uuid));

/** Watches answers while things go wrong: they never exceed the truth, and never fall unless the store went back. */
export class Watch {
  private last = new Map<string, bigint>();

  constructor(private readonly world: World) {}

  /** The store was made to forget. */
  forget(): void {
    this.last.clear();
  }

  look(): string[] {
    const wrong: string[] = [];
    const { world } = this;
    for (const partition of world.partitions) {
      for (const [name, reading] of readPartition(world.store, partition)) {
        const host = world.machines.find((m) => m.host.name === name)?.host;
        if (!host) {
          wrong.push(`${name}: a host that does not exist`);
          continue;
        }
        const all = [...host.lineages.values(), ...host.past.map((p) => p.lineage)];
        for (const [table, found] of reading.tables) {
          const truth = truthOf(all, table);
          for (const [series, answer] of found.totals) {
            const id = `${name}/${table}/${series}`;
            if (answer > (truth.get(series) ?? 0n))
              wrong.push(`${id}: ${answer} counted of ${truth.get(series) ?? 0n} so far`);
            if (answer < (this.last.get(id) ?? 0n)) wrong.push(`${id}: fell from ${this.last.get(id)} to ${answer}`);
            this.last.set(id, answer);
          }
        }
      }
    }
    return wrong;
  }
}
