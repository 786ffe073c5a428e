/**
 * Steps that divide a range. Windows are 10 s long, and so is the shortest step, but for tables that are kept by second
 * (contract/seconds.ts): they hold ten points a window.
 */
import { toBigInt } from '../../shared/algebra/limbs.ts';
import type { SeriesValues, WindowHostValues } from '../../shared/contract/checkpoint-codec.ts';
import type { TableSchema } from '../../shared/contract/lineage.ts';
import { bySecond, secondsOfWindow } from '../../shared/contract/seconds.ts';
import type { HostTable } from '../checkpoint/fleet.ts';
import { parseLength, windowMs, type TimeRange } from './range.ts';
import { reject } from './rejection.ts';

const pointsAimed = 60;
const pointsMax = 400;
const secondMs = windowMs / secondsOfWindow;

export interface Steps {
  readonly fromMs: number;
  readonly lengthMs: number;
  readonly count: number;
}

/** Shortest step of a table, ms; each step is a multiple of it. */
export const finestStepMs = (schema: TableSchema): number => (bySecond(schema) ? secondMs : windowMs);

/** True for steps that windows do not fit into. */
export const isFine = ({ lengthMs }: Pick<Steps, 'lengthMs'>): boolean => lengthMs % windowMs !== 0;

/** Steps of a range: multiples of the finest, aligned to their own length, so that repeats agree. */
export function stepsOf(
  time: Extract<TimeRange, { kind: 'windows' }>,
  step: string,
  nowMs: number,
  { countMax = pointsMax, finestMs = windowMs }: { readonly countMax?: number; readonly finestMs?: number } = {},
): Steps {
  const finest = `${finestMs / 1000}s`;
  const lengthMs =
    step === ''
      ? Math.ceil((endOf(time, nowMs, windowMs) - time.fromMs) / pointsAimed / windowMs) * windowMs
      : parseLength('step', step, `write a multiple of ${finest}, e.g. "30s"`);
  if (lengthMs % finestMs !== 0)
    reject({
      kind: 'bad-field',
      field: 'step',
      problem: `${JSON.stringify(step)} is not a multiple of ${finest}`,
      fix: `did you mean "${(Math.ceil(lengthMs / finestMs) * finestMs) / 1000}s"?`,
    });
  const toMs = endOf(time, nowMs, isFine({ lengthMs }) ? lengthMs : windowMs);
  const fromMs = Math.floor(time.fromMs / lengthMs) * lengthMs;
  const count = Math.ceil((toMs - fromMs) / lengthMs);
  if (count > countMax)
    reject({
      kind: 'too-large',
      what: 'points a series',
      found: count,
      limit: countMax,
      fix: 'ask for a longer step',
    });
  return { fromMs, lengthMs, count };
}

/** A range that ends now ends with the window, or the step, that is still filling. */
const endOf = (time: Extract<TimeRange, { kind: 'windows' }>, nowMs: number, unitMs: number): number =>
  time.openEnd ? Math.max(time.fromMs + unitMs, Math.floor(nowMs / unitMs) * unitMs + unitMs) : time.toMs;

export const stepAt = ({ fromMs, lengthMs, count }: Steps, ms: number): number =>
  Math.min(count - 1, Math.max(0, Math.floor((ms - fromMs) / lengthMs)));

/** A window's increments by step: whole, or second for second. The first column of each block is what counts. */
export function* dividedBy(
  steps: Steps | undefined,
  startMs: number,
  { schema }: HostTable,
  increments: SeriesValues,
): Generator<{ readonly step: number; readonly block: SeriesValues }> {
  if (!steps || !isFine(steps) || !bySecond(schema)) {
    yield { step: steps ? stepAt(steps, startMs) : 0, block: increments };
    return;
  }
  const { count, values } = increments;
  for (let second = 0; second < secondsOfWindow; second++) {
    const column = values.subarray((1 + second) * count * 2, (2 + second) * count * 2);
    yield { step: stepAt(steps, startMs + second * secondMs), block: { ...increments, values: column } };
  }
}

/** Of a window's increments, what its steps do not tell. */
export function undividedOf({ schema }: HostTable, { increments, undivided = 0n }: WindowHostValues): bigint {
  if (bySecond(schema)) return undivided;
  let sum = 0n;
  for (let r = 0; r < increments.count; r++) sum += toBigInt(increments.values, r * 2);
  return sum;
}
