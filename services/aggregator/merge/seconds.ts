/**
 * Tables that are kept by second (contract/seconds.ts): what a second of a row rose by belongs to the newest such second
 * before the read, in whichever window that lies. It can be told while no more than nine seconds are touched since the
 * read before, one less than a row has, so that an event that took long to be counted is not taken for one ten seconds
 * later. Else all belongs to the second in which the read ended, and is counted as undivided.
 */
import { addInto, joinMax, toBigInt } from '../../shared/algebra/limbs.ts';
import { noSeries, rowsPerPage, type IncomingRows, type RowTable } from '../../shared/algebra/row-table.ts';
import type { Batch } from '../../shared/contract/batch.ts';
import { finestTier } from '../../shared/contract/checkpoint.ts';
import { secondsOfWindow, valuesBySecond } from '../../shared/contract/seconds.ts';
import type { WindowPart } from './state.ts';

const secondNs = 1_000_000_000n;
/** Between the oldest and the newest second of a read. */
const spanMax = 8n;

/** Since when the rows of a read may have risen: the read before it of which every message was merged. */
export interface WholeReads {
  known: { readonly generation: bigint; readonly readNs: bigint } | undefined;
  /** The read of which messages are being merged. */
  reading: { readonly generation: bigint; readonly readNs: bigint; readonly sinceNs: bigint | undefined } | undefined;
}

export const wholeSince = (createdBoottimeNs: bigint): WholeReads => ({
  known: { generation: 0n, readNs: createdBoottimeNs },
  reading: undefined,
});

/** CLOCK_BOOTTIME since which the rows of a batch may have risen; undefined where it is not known. */
export function risenSince(whole: WholeReads, { generation, readBoottimeNs: readNs }: Batch): bigint | undefined {
  const { known, reading } = whole;
  if (reading?.readNs === readNs && reading.generation === generation) return reading.sinceNs;
  // A generation begins after the last read of the one before it; a sealed one that comes again may have risen long ago.
  const follows = known && (known.generation === generation || known.generation + 1n === generation);
  const sinceNs = follows && known.readNs < readNs ? known.readNs : undefined;
  whole.reading = { generation, readNs, sinceNs };
  return sinceNs;
}

/** To be called after each message, `missing` where one of this lineage did not come. */
export function noteWhole(whole: WholeReads, batch: Batch, missing: boolean): void {
  const { generation, readBoottimeNs: readNs } = batch;
  if (batch.sealed || batch.part !== batch.parts || missing || whole.reading?.readNs !== readNs) return;
  if (!whole.known || readNs > whole.known.readNs) whole.known = { generation, readNs };
}

/** Unix seconds that a row's ten are, by number; undefined where that cannot be told. `endMs`: when the read is said to have ended. */
export function secondsOf(batch: Batch, sinceNs: bigint | undefined, endMs: number): readonly number[] | undefined {
  const clock = batch.seconds;
  if (!clock || sinceNs === undefined || clock.copiedBoottimeNs < batch.readBoottimeNs) return undefined;
  const unixNs = (boottimeNs: bigint): bigint => BigInt.asUintN(64, boottimeNs + clock.offsetNs);
  const newest = unixNs(clock.copiedBoottimeNs) / secondNs;
  if (newest - unixNs(sinceNs) / secondNs > spanMax) return undefined;
  // 0, but for a host whose clock is far off.
  const shift = Math.round((endMs - Number(unixNs(batch.readBoottimeNs) / 1_000_000n)) / 1000);
  const last = Number(newest);
  return Array.from({ length: secondsOfWindow }, (_, s) => last - ((last - s) % secondsOfWindow) + shift);
}

/** Where what rows rose by is to go. */
export interface Dating {
  readonly own: WindowPart;
  readonly endMs: number;
  readonly seconds: readonly number[] | undefined;
  /** The host's part of the window that begins then; undefined when retention has passed it. */
  readonly partOf: (startMs: number) => WindowPart | undefined;
}

interface Place {
  readonly part: WindowPart;
  /** Of the part's values. */
  readonly value: number;
}

const rise = new Uint32Array(2);
const nowhere = new Uint32Array(2);

/**
 * As RowTable.join. A window's sum is what its seconds rose by, so that the two agree; `elsewhere` is what went to other
 * windows than the read's own.
 */
export function joinSeconds(
  rows: RowTable,
  { rowCount, ids, values }: IncomingRows,
  dating: Dating | undefined,
  dated?: (row: number) => boolean,
): { unknown: number; elsewhere: bigint } {
  const { series, last } = rows;
  const places: (Place | undefined)[] = [];
  let unknown = -1;
  let elsewhere = 0n;
  for (let i = 0; i < rowCount; i++) {
    const row = ids[i]!;
    const s = row < rows.rows ? series[row]! : noSeries;
    if (s === noSeries) {
      if (unknown < 0) unknown = row;
      continue;
    }
    const at = row * valuesBySecond * 2;
    let rose = joinMax(last, at, values, i * 2, nowhere, 0);
    const counts = dating !== undefined && (dated === undefined || dated(row));
    for (let second = 0; second < secondsOfWindow; second++) {
      const from = ((1 + second) * rowCount + i) * 2;
      if (values[from] === 0 && values[from + 1] === 0) continue;
      rise.fill(0);
      if (!joinMax(last, at + (1 + second) * 2, values, from, rise, 0)) continue;
      rose = true;
      if (!counts) continue;
      if (!(second in places)) places[second] = placeOf(dating, second);
      const place = places[second];
      if (place) addInto(place.part.sums.values, s * valuesBySecond * 2, rise, 0);
      if (place) addInto(place.part.sums.values, (s * valuesBySecond + place.value) * 2, rise, 0);
      if (place?.part !== dating.own) {
        elsewhere += toBigInt(rise, 0);
        if (place) place.part.seen += toBigInt(rise, 0);
      }
      if (!dating.seconds) dating.own.undivided += toBigInt(rise, 0);
    }
    if (rose) rows.changed.add(Math.floor(row / rowsPerPage));
  }
  return { unknown, elsewhere };
}

function placeOf({ own, endMs, seconds, partOf }: Dating, second: number): Place | undefined {
  const unix = seconds ? seconds[second]! : Math.floor(endMs / 1000);
  const startMs = Math.floor((unix * 1000) / finestTier.lengthMs) * finestTier.lengthMs;
  const part = startMs === Math.floor(endMs / finestTier.lengthMs) * finestTier.lengthMs ? own : partOf(startMs);
  return part && { part, value: 1 + unix - startMs / 1000 };
}
