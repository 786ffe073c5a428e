/**
 * What callers send and get: proto/muster/v1/query.proto as types. int64 is a decimal string, a Timestamp or Duration
 * is { seconds, nanos }, field names are camelCase. The only list of the methods that are served.
 */
import type {
  ContainsRequest,
  ContainsResponse,
  ForgetHostRequest,
  ForgetHostResponse,
  GetCostRequest,
  GetCostResponse,
  GetHostRequest,
  GetHostResponse,
  GetLedgerRequest,
  GetLedgerResponse,
  ListHostsRequest,
  ListHostsResponse,
  ListLabelValuesRequest,
  ListLabelValuesResponse,
  ListMetricsRequest,
  ListMetricsResponse,
  QueryDistinctRequest,
  QueryDistinctResponse,
  QueryHistogramRequest,
  QueryHistogramResponse,
  QueryRangeRequest,
  QueryRangeResponse,
  QueryRequest,
  QueryResponse,
  QueryStacksRequest,
  QueryStacksResponse,
  WatchRequest,
  WatchResponse,
} from './gen/api/muster/v1/query.ts';

export type * from './gen/api/muster/v1/query.ts';
export type { Timestamp } from './gen/api/google/protobuf/timestamp.ts';
export type { Duration } from './gen/api/google/protobuf/duration.ts';

/** Request and response of each method. */
export interface Methods {
  Query: { request: QueryRequest; response: QueryResponse };
  QueryRange: { request: QueryRangeRequest; response: QueryRangeResponse };
  QueryHistogram: { request: QueryHistogramRequest; response: QueryHistogramResponse };
  QueryDistinct: { request: QueryDistinctRequest; response: QueryDistinctResponse };
  QueryStacks: { request: QueryStacksRequest; response: QueryStacksResponse };
  Contains: { request: ContainsRequest; response: ContainsResponse };
  ListMetrics: { request: ListMetricsRequest; response: ListMetricsResponse };
  ListLabelValues: { request: ListLabelValuesRequest; response: ListLabelValuesResponse };
  ListHosts: { request: ListHostsRequest; response: ListHostsResponse };
  ForgetHost: { request: ForgetHostRequest; response: ForgetHostResponse };
  GetHost: { request: GetHostRequest; response: GetHostResponse };
  GetLedger: { request: GetLedgerRequest; response: GetLedgerResponse };
  GetCost: { request: GetCostRequest; response: GetCostResponse };
}

/** Methods that answer with a stream. */
export interface Streams {
  Watch: { request: WatchRequest; response: WatchResponse };
}

export type MethodName = keyof Methods;
export type StreamName = keyof Streams;
export type RequestOf<M extends MethodName> = Methods[M]['request'];
export type ResponseOf<M extends MethodName> = Methods[M]['response'];

/** The service that has each method of one answer. */
export const serviceOf = {
  Query: 'muster.v1.QueryService',
  QueryRange: 'muster.v1.QueryService',
  QueryHistogram: 'muster.v1.QueryService',
  QueryDistinct: 'muster.v1.QueryService',
  QueryStacks: 'muster.v1.QueryService',
  Contains: 'muster.v1.QueryService',
  ListMetrics: 'muster.v1.FleetService',
  ListLabelValues: 'muster.v1.FleetService',
  ListHosts: 'muster.v1.FleetService',
  ForgetHost: 'muster.v1.FleetService',
  GetHost: 'muster.v1.FleetService',
  GetLedger: 'muster.v1.FleetService',
  GetCost: 'muster.v1.FleetService',
} as const satisfies Record<MethodName, string>;

export const streamServiceOf = { Watch: 'muster.v1.QueryService' } as const satisfies Record<StreamName, string>;

export const methodNames = Object.keys(serviceOf) as MethodName[];

/** Roles of callers, the lowest first. */
export const roles = ['reader', 'operator'] as const;
export type Role = (typeof roles)[number];
/** Methods that change something, by name: for operators. Every other is a reader's. */
export const operatorMethods: ReadonlySet<string> = new Set(['ForgetHost']);

/** Replies stay below this, so that a client with gRPC's default limit of 4 MiB can read them. */
export const replyBytesMax = 3 * 1024 * 1024;
/** Requests above this are refused before they are decoded. */
export const requestBytesMax = 256 * 1024;
