/**
 * The recount. The kernels know what they counted; the store says what a caller would be told. In the end, of every
 * host, table and key: answer = truth, or the difference stands in the ledger as lost, or it is of a lineage that
 * nobody can read any more and the host says when that was. While the world is hostile: never more than the truth.
 */
import { compare, toBigInt } from '../../services/shared/algebra/limbs.ts';
import type { Fleet } from '../../services/query/checkpoint/fleet.ts';
import { askTotals, readFleet } from './asking.ts';
import { allSeries } from './catalogue.ts';
import type { HostReading, Reader, TableReading } from './reading.ts';
import type { SimHost } from './host.ts';
import type { SimLineage } from './pins.ts';
import { misplaced, noSeconds } from './seconds.ts';
import { sumOf, truthOf } from './truth.ts';
import type { World } from './world.ts';

export interface History {
  /** The store went back, lost all, or was damaged: what it held of ended lineages may be gone, and is then unknown. */
  readonly storeFaults: boolean;
  /** Of these: damaged. */
  readonly damaged: boolean;
  /** Windows cannot all be dated. */
  readonly datesFaults: boolean;
}

/** Complaints about the settled world; empty when every event is accounted for. */
export function checkSettled(world: World, reader: Reader, history: History): string[] {
  const wrong: string[] = [];
  const readings = new Map<string, HostReading>();
  for (const partition of world.partitions) for (const [host, r] of reader.hosts(partition)) readings.set(host, r);
  const fleet = readFleet(world.store);
  const waitsUs = world.queue.nowUs - world.stream.oldestUs;
  if (waitsUs > stuckUs) wrong.push(`a message is in the stream for ${waitsUs / 1e6} s and nobody acknowledges it`);
  for (const { host } of world.machines) {
    const reading = readings.get(host.name);
    if (!reading) {
      wrong.push(`${host.name}: no record`);
      continue;
    }
    const tables = tablesOf(host);
    const asked = world.random.pick([...tables]);
    for (const table of tables) {
      const say = (what: string): void => void wrong.push(`${host.name}/${table}: ${what}`);
      checkTable(host, table, reading, history, comparable(world), say);
      if (table === asked) checkAnswer(world, fleet, host, table, reading, say);
    }
  }
  return wrong;
}

/** In peace everything is delivered, committed and acknowledged in less. */
const stuckUs = 20_000_000;

const lineagesOf = (host: SimHost): SimLineage[] => [...host.lineages.values(), ...host.past.map((p) => p.lineage)];

const tablesOf = (host: SimHost): Set<string> =>
  new Set(lineagesOf(host).flatMap((l) => l.model.tables.map((t) => t.name)));

function checkTable(
  host: SimHost,
  table: string,
  reading: HostReading,
  history: History,
  shown: (totals: Uint32Array) => Uint32Array,
  wrong: (what: string) => void,
): void {
  const whole = [
    ...host.lineages.values(),
    ...host.past.filter((p) => p.loss === undefined && !history.storeFaults).map((p) => p.lineage),
  ];
  const partial = host.past.filter((p) => p.loss !== undefined || history.storeFaults).map((p) => p.lineage);
  const least = shown(truthOf(whole, table));
  const most = shown(truthOf([...whole, ...partial], table));
  const nothing = new Uint32Array(least.length);
  const found: TableReading = reading.tables.get(table) ?? {
    totals: nothing,
    windows: nothing,
    seconds: noSeconds(),
    lost: 0n,
    quarantined: 0n,
  };
  const { lost } = found;
  const totals = shown(found.totals);
  const windows = shown(found.windows);
  if (lost > 0n && partial.length === 0 && !history.storeFaults) wrong(`lost ${lost} though the store never went back`);
  if (found.quarantined > 0n) wrong(`quarantined ${found.quarantined} though no two lineages counted the same`);
  // Windows outlive totals that a store has lost, but hold only what happened; after damage the host says they may not.
  const windowed = history.storeFaults ? most : totals;
  for (let i = 0; i < totals.length; i += 2) {
    if (compare(totals, i, most, i) > 0)
      wrong(`${nameOf(table, i)}: ${toBigInt(totals, i)} counted of ${toBigInt(most, i)}`);
    if (lost === 0n && compare(totals, i, least, i) < 0)
      wrong(`${nameOf(table, i)}: ${toBigInt(totals, i)} counted of at least ${toBigInt(least, i)}`);
    if (!history.damaged && compare(windows, i, windowed, i) > 0)
      wrong(`${nameOf(table, i)}: windows hold ${toBigInt(windows, i)} of ${toBigInt(windowed, i)}`);
  }
  const answered = sumOf(totals) + lost;
  const low = sumOf(least);
  const high = sumOf(most);
  if (answered < low)
    wrong(`total ${answered} (${lost} lost) of ${low}: ${low - answered} events are missing and nobody says so`);
  if (answered > high) wrong(`total ${answered} (${lost} lost) of ${high}: ${answered - high} too many`);
  const probe = [...host.lineages.values()].find((l) => l.model.tables.some((t) => t.name === table))?.model.probe;
  const unknown = reading.record.unknown.filter((u) => u.probe === probe);
  // A store that never heard of an ended lineage knows nothing from before it first heard of the host, and claims nothing.
  const heardOf = partial.filter(
    (p) => p.model.probe === probe && reading.record.lineages.some((l) => l.uuid.toString('hex') === p.uuid),
  );
  const known = sumOf(truthOf([...whole, ...heardOf], table));
  if (answered < known && unknown.length === 0)
    wrong(`${known - answered} events of ended lineages are missing and no time is unknown`);
  if (!history.damaged && found.seconds.uneven > 0)
    wrong(`${found.seconds.uneven} rows are not the sum of their seconds`);
  if (unknown.length > 0 || history.datesFaults || host.clockStepped) return;
  if (sumOf(windows) !== sumOf(totals))
    wrong(`windows hold ${sumOf(windows)} of ${sumOf(totals)} though nothing is unknown`);
  const kept = found.seconds.points.size > 0 && !history.storeFaults;
  const apart = kept ? misplaced(lineagesOf(host), table, found.seconds) : '';
  if (apart !== '') wrong(apart);
}

/**
 * What can be held against the truth: every key; where the aggregator takes few series a key's events may be in the
 * overflow, and it is the sum that must be right.
 */
function comparable(world: World): (totals: Uint32Array) => Uint32Array {
  if (world.plan.seriesPerHost === Infinity) return (totals) => totals;
  return (totals) => {
    const sum = sumOf(totals);
    return new Uint32Array([Number(sum & 0xffffffffn), Number(sum >> 32n)]);
  };
}

const nameOf = (table: string, at: number): string => allSeries(table)[at >> 1]!.name;

/** The query service says the same, and calls nothing exact that is not. */
function checkAnswer(
  world: World,
  fleet: Fleet,
  host: SimHost,
  table: string,
  reading: HostReading,
  wrong: (what: string) => void,
): void {
  const found = reading.tables.get(table);
  const answer = found && askTotals(fleet, table, host.name, world.aggregatorMs);
  if (!answer) return;
  const expected = new Map<string, bigint>();
  allSeries(table).forEach(({ labels }, i) => {
    const value = toBigInt(found.totals, i * 2);
    if (value === 0n) return;
    const name = answer.nameOf(labels);
    expected.set(name, (expected.get(name) ?? 0n) + value);
  });
  const total = sumOf(found.totals);
  if (answer.total !== total) wrong(`a query answers ${answer.total} in total, the checkpoint holds ${total}`);
  for (const [name, value] of expected) {
    if (name !== answer.nameOf({}) && answer.rows.get(name) !== value)
      wrong(`a query answers ${answer.rows.get(name)} for ${name}, the checkpoint holds ${value}`);
  }
  if (answer.lost !== found.lost) wrong(`a query answers ${answer.lost} lost, the checkpoint holds ${found.lost}`);
  const truth = sumOf(truthOf(lineagesOf(host), table));
  if (answer.exact && !knowsLess(host, reading) && total !== truth)
    wrong(`a query calls ${total} exact where ${truth} were counted`);
}

/** The store never heard of some lineage of the past, and claims nothing from before it first heard of the host. */
const knowsLess = (host: SimHost, reading: HostReading): boolean =>
  host.past.some(({ lineage }) => !reading.record.lineages.some((l) => l.uuid.toString('hex') === lineage.uuid));

/** Watches answers while things go wrong: they never exceed the truth, and never fall unless the store went back. */
export class Watch {
  private readonly last = new Map<string, Uint32Array>();

  constructor(
    private readonly world: World,
    private readonly reader: Reader,
  ) {}

  look(): string[] {
    const wrong: string[] = [];
    const { world } = this;
    const shown = comparable(world);
    for (const partition of world.partitions) {
      for (const [name, tables] of this.reader.totals(partition)) {
        const host = world.machines.find((m) => m.host.name === name)?.host;
        if (!host) {
          wrong.push(`${name}: a host that does not exist`);
          continue;
        }
        for (const [table, found] of tables) {
          const totals = shown(found);
          const id = `${name}/${table}`;
          const truth = shown(truthOf(lineagesOf(host), table));
          const before = this.last.get(id);
          for (let i = 0; i < totals.length; i += 2) {
            if (compare(totals, i, truth, i) > 0)
              wrong.push(`${id}/${nameOf(table, i)}: ${toBigInt(totals, i)} counted of ${toBigInt(truth, i)} so far`);
            if (before && compare(totals, i, before, i) < 0)
              wrong.push(`${id}/${nameOf(table, i)}: fell from ${toBigInt(before, i)} to ${toBigInt(totals, i)}`);
          }
          this.last.set(id, totals);
        }
      }
    }
    return wrong;
  }
}
