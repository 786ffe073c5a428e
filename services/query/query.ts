/**
 * The core of the query service: what a request needs from the checkpoints, and its answer from them. Stateless but for
 * answers kept for their next pages. `answer` is a generator, so that the driver can serve others in the midst of a
 * long scan and stop it when the caller has gone; `finish` runs it to the end.
 */
import { prepareCosts } from './answer/costs.ts';
import {
  findHost,
  forgettable,
  hostMessage,
  listPage,
  prepareHosts,
  prepareLabelValues,
  prepareMetrics,
  valuesPage,
} from './answer/fleet-lists.ts';
import { Alarms } from './answer/alarms.ts';
import { containsPage, findFiltered, prepareContains } from './answer/contains.ts';
import { prepareLedgers } from './answer/ledgers.ts';
import { findMetric, metricsOf } from './answer/metric.ts';
import {
  decodeToken,
  encodeToken,
  PageCache,
  pageSize,
  requestHash,
  stateHash,
  type PageLimits,
  type Prepared,
} from './answer/page.ts';
import { prepareQuery, queryPage } from './answer/query.ts';
import { distinctPage, prepareDistinct } from './answer/query-distinct.ts';
import { histogramPage, prepareHistogram } from './answer/query-histogram.ts';
import { prepareStacks, stacksPage, timesOf } from './answer/query-stacks.ts';
import { prepareRange, rangePage } from './answer/query-range.ts';
import { fallbackRange, resolveRange, type TimeRange } from './answer/range.ts';
import { reject } from './answer/rejection.ts';
import { admitBytes } from './answer/scan-cost.ts';
import type { Fleet } from './checkpoint/fleet.ts';
import { hostsOnly, type Need } from './checkpoint/need.ts';
import type { BlobName } from '../shared/contract/checkpoint.ts';
import type { MethodName, RequestOf, ResponseOf } from '../shared/contract/query.ts';

/** Table keys are the table's name, or name~hash. */
const isTable = (key: string, metric: string): boolean =>
  key === metric || (key.startsWith(metric) && key[metric.length] === '~');

function inTime(name: BlobName, time: TimeRange): boolean {
  if (time.kind === 'all') return name.kind === 'base' || name.kind === 'last';
  return name.kind === 'window' && name.startMs >= time.fromMs && name.startMs < time.toMs;
}

const spanOf = (time: TimeRange): string => (time.kind === 'all' ? 'all' : `${time.fromMs}-${time.toMs}`);

const whole = (key: string, wants: Need['wants']): Need => ({ key, wants, windowsSummed: false });

const paging: Readonly<Record<Exclude<MethodName, 'GetHost' | 'ForgetHost' | 'QueryStacks'>, PageLimits>> = {
  Query: queryPage,
  QueryRange: rangePage,
  QueryHistogram: histogramPage,
  QueryDistinct: distinctPage,
  Contains: containsPage,
  ListMetrics: listPage,
  ListLabelValues: valuesPage,
  ListHosts: listPage,
  GetLedger: listPage,
  GetCost: listPage,
};

const pagingOf = (method: MethodName, request: object): PageLimits =>
  method === 'QueryStacks' ? stacksPage(request as RequestOf<'QueryStacks'>) : paging[method as 'Query'];

export class Query {
  readonly #pages = new PageCache();
  readonly #alarms = new Alarms();

  /**
   * Blobs that a request needs beside the host records, which `fleet` has. Rejects what can be known to be wrong by then.
   */
  needOf<M extends MethodName>(method: M, request: RequestOf<M>, fleet: Fleet, nowMs: number): Need {
    switch (method) {
      case 'ListMetrics':
      case 'ListHosts':
      case 'GetHost':
      case 'ForgetHost':
      case 'GetCost':
        return hostsOnly;
      case 'GetLedger': {
        const { metric } = request as RequestOf<'GetLedger'>;
        if (metric) findMetric(metricsOf(fleet), metric);
        return whole(`ledger ${metric}`, (name) => {
          if (name.kind !== 'base' && name.kind !== 'last') return false;
          return metric === '' || isTable(name.table, metric);
        });
      }
      case 'ListLabelValues': {
        const metric = findMetric(metricsOf(fleet), (request as RequestOf<'ListLabelValues'>).metric);
        if (!metric) return hostsOnly;
        return whole(`labels ${metric.name}`, (name) => name.kind === 'series' && isTable(name.table, metric.name));
      }
      case 'Contains': {
        const found = findFiltered(fleet, (request as RequestOf<'Contains'>).metric);
        if (!found) return hostsOnly;
        return whole(
          `filter ${found.metric.name}`,
          (name) =>
            ((name.kind === 'series' || name.kind === 'base' || name.kind === 'last') &&
              isTable(name.table, found.filter.name)) ||
            (name.kind === 'series' && isTable(name.table, found.metric.name)),
        );
      }
      case 'QueryStacks': {
        const asked = request as RequestOf<'QueryStacks'>;
        const position = decodeToken(asked.pageToken, requestHash(method, request));
        const { time, base } = timesOf(asked, position?.atMs ?? nowMs);
        const metric = findMetric(metricsOf(fleet), asked.metric, 'stacks');
        if (!metric) return hostsOnly;
        return whole(
          `stacks ${metric.name} ${spanOf(time)} ${base ? spanOf(base) : ''}`,
          (name) =>
            'table' in name &&
            isTable(name.table, metric.name) &&
            (name.kind === 'series' || inTime(name, time) || (base !== undefined && inTime(name, base))),
        );
      }
      default: {
        const asked = request as RequestOf<'Query' | 'QueryRange' | 'QueryHistogram'>;
        const position = decodeToken(asked.pageToken, requestHash(method, request));
        const time = resolveRange(asked, fallbackRange(method), position?.atMs ?? nowMs);
        const metric = findMetric(
          metricsOf(fleet),
          asked.metric,
          method === 'QueryHistogram' ? 'histogram' : method === 'QueryDistinct' ? 'distinct' : undefined,
        );
        if (!metric) return hostsOnly;
        const windowsSummed = time.kind === 'windows' && method !== 'QueryRange' && !('step' in asked && asked.step);
        return {
          key: `${windowsSummed ? 'sum' : 'rows'} ${metric.name} ${spanOf(time)}`,
          wants: (name) =>
            'table' in name && isTable(name.table, metric.name) && (name.kind === 'series' || inTime(name, time)),
          windowsSummed,
        };
      }
    }
  }

  /** Rejects a question for which more than `bytesMax` stored bytes would have to be read; `bytes`: how many, as the reader says. */
  admit<M extends MethodName>(method: M, request: RequestOf<M>, bytes: number, bytesMax: number, nowMs: number): void {
    admitBytes(method, request, bytes, bytesMax, nowMs);
  }

  /** The answer to a next page that is still kept; undefined when the fleet must be read. */
  kept<M extends MethodName>(method: M, request: RequestOf<M>): ResponseOf<M> | undefined {
    if (method === 'GetHost' || method === 'ForgetHost') return undefined;
    const asked = request as RequestOf<'Query'>;
    const hash = requestHash(method, request);
    const position = decodeToken(asked.pageToken, hash);
    const prepared = position && this.#pages.get(method, hash, position);
    return prepared && cut(prepared, asked.pageSize, pagingOf(method, request), position, hash);
  }

  /** What a reply says of broken equations and the log was not told of just now. */
  alarms(reply: object, nowMs: number): string[] {
    return this.#alarms.take((reply as { readonly notes?: readonly string[] }).notes ?? [], nowMs);
  }

  /** The answer. Throws Rejected. `lone` when no next page will be asked for. */
  *answer<M extends MethodName>(
    method: M,
    request: RequestOf<M>,
    fleet: Fleet,
    nowMs: number,
    lone = false,
  ): Generator<void, ResponseOf<M>> {
    if (method === 'ForgetHost')
      return { host: forgettable(fleet, (request as RequestOf<'ForgetHost'>).host, nowMs) } as ResponseOf<M>;
    if (method === 'GetHost')
      return { host: hostMessage(findHost(fleet, (request as RequestOf<'GetHost'>).host), nowMs) } as ResponseOf<M>;
    const asked = request as RequestOf<'Query'>;
    const limits = pagingOf(method, request);
    pageSize(asked.pageSize, limits);
    const hash = requestHash(method, request);
    const state = stateHash(fleet.state);
    const given = decodeToken(asked.pageToken, hash);
    if (given && given.stateHash !== state) reject({ kind: 'moved-on' });
    const position = given ?? { stateHash: state, atMs: nowMs, first: 0 };
    const prepared = yield* prepare(method, request, fleet, position.atMs);
    const reply = cut(prepared, asked.pageSize, limits, position, hash);
    if (!lone && (reply as ResponseOf<'Query'>).nextPageToken) this.#pages.put(hash, position, prepared);
    return reply;
  }
}

function cut<M extends MethodName>(
  prepared: Prepared<M>,
  asked: number,
  limits: PageLimits,
  position: { stateHash: string; atMs: number; first: number },
  hash: string,
): ResponseOf<M> {
  const size = pageSize(asked, limits);
  return prepared.page(position.first, position.first + size, (first) => encodeToken(hash, { ...position, first }));
}

function* prepare<M extends MethodName>(
  method: M,
  request: RequestOf<M>,
  fleet: Fleet,
  nowMs: number,
): Generator<void, Prepared<M>> {
  const made = yield* (function* (): Generator<void, unknown> {
    switch (method as Exclude<MethodName, 'GetHost' | 'ForgetHost'>) {
      case 'Query':
        return yield* prepareQuery(request as RequestOf<'Query'>, fleet, nowMs);
      case 'QueryRange':
        return yield* prepareRange(request as RequestOf<'QueryRange'>, fleet, nowMs);
      case 'QueryHistogram':
        return yield* prepareHistogram(request as RequestOf<'QueryHistogram'>, fleet, nowMs);
      case 'QueryDistinct':
        return yield* prepareDistinct(request as RequestOf<'QueryDistinct'>, fleet, nowMs);
      case 'QueryStacks':
        return yield* prepareStacks(request as RequestOf<'QueryStacks'>, fleet, nowMs);
      case 'Contains':
        return yield* prepareContains(request as RequestOf<'Contains'>, fleet, nowMs);
      case 'ListMetrics':
        return prepareMetrics(fleet);
      case 'ListLabelValues':
        return yield* prepareLabelValues(request as RequestOf<'ListLabelValues'>, fleet);
      case 'ListHosts':
        return prepareHosts(request as RequestOf<'ListHosts'>, fleet, nowMs);
      case 'GetLedger':
        return yield* prepareLedgers(request as RequestOf<'GetLedger'>, fleet);
      case 'GetCost':
        return prepareCosts(request as RequestOf<'GetCost'>, fleet, nowMs);
    }
  })();
  return made as Prepared<M>;
}

/** Runs an answer to its end at once; for tests and the simulator. */
export function finish<T>(answer: Generator<void, T>): T {
  for (;;) {
    const step = answer.next();
    if (step.done) return step.value;
  }
}
