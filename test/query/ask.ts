/** The core asked directly: a fleet in, a reply out; and rows of the table `syscalls`. */
import { Query, finish } from '../../services/query/query.ts';
import type { Fleet } from '../../services/query/checkpoint/fleet.ts';
import type { MethodName, RequestOf, ResponseOf } from '../../services/shared/contract/query.ts';
import { Rejected, type Rejection } from '../../services/query/answer/rejection.ts';
import { nowMs, type CountedRow } from './checkpoints.ts';

/** Every field of every request, with nothing said. */
export const blank = {
  metric: '',
  selector: '',
  groupBy: [],
  range: '',
  startTime: undefined,
  endTime: undefined,
  orderBy: '',
  pageSize: 0,
  pageToken: '',
  step: '',
  quantiles: [],
  label: '',
  host: '',
};
export const ask = <M extends MethodName>(
  fleet: Fleet,
  method: M,
  request: Partial<RequestOf<M>> = {},
): ResponseOf<M> =>
  finish(new Query().answer(method, { ...blank, ...request } as unknown as RequestOf<M>, fleet, nowMs));

export const row = (syscall: string, comm: string, value: bigint): CountedRow => ({
  labels: [syscall, comm],
  values: [value],
});

/** Why a request is rejected; fails when it is not. */
export function rejectionOf(asking: () => unknown): Rejection {
  try {
    asking();
  } catch (error) {
    if (error instanceof Rejected) return error.rejection;
    throw error;
  }
  throw new Error('it was answered');
}
