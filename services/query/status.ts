/**
 * The one place that turns a failure into a gRPC status: code, a message that carries the fix ("what; fix"), a stable
 * reason, the fields at fault. Exhaustive over rejections and dispositions; anything else is INTERNAL, and is logged.
 */
import { Rejected, type Rejection } from './answer/rejection.ts';
import type { RpcCode, RpcStatus } from '../shared/contract/rpc-status.ts';
import { unreachable } from '../shared/runtime/assert.ts';
import { describeCause, MusterError, type Disposition } from '../shared/runtime/errors.ts';

const quote = (text: string): string => JSON.stringify(text);
const meant = (suggestion: string | undefined, otherwise: string): string =>
  suggestion === undefined ? otherwise : `did you mean ${quote(suggestion)}? ${otherwise}`;

const status = (
  code: RpcCode,
  reason: string,
  message: string,
  metadata: Record<string, string> = {},
  violation?: { field: string; description: string },
): RpcStatus => ({
  code,
  reason,
  message,
  metadata,
  violations: violation ? [violation] : [],
});

/** Codes by who must act: retry is the caller's, later; reject the caller's, now; the rest an operator's. */
const codeOf = {
  retry: 'UNAVAILABLE',
  drop: 'DATA_LOSS',
  halt: 'UNAVAILABLE',
  reject: 'FAILED_PRECONDITION',
} as const satisfies Record<Disposition, RpcCode>;

/** How long a caller waits while the store is away. */
const retryAfterMs = 1000;

export function statusOf(error: unknown): RpcStatus {
  if (error instanceof Rejected) return rejectionStatus(error.rejection);
  if (error instanceof MusterError) {
    const code = error.code === 'store/newer-format' ? 'FAILED_PRECONDITION' : codeOf[error.disposition];
    const cause = describeCause(error.cause);
    const message = `${error.what}${cause ? `: ${cause}` : ''}; ${error.remedy}`;
    const found = status(code, error.code.toUpperCase().replace(/[^A-Z]/g, '_'), message);
    return code === 'UNAVAILABLE' ? { ...found, retryAfterMs } : found;
  }
  return status('INTERNAL', 'INTERNAL', 'the query service failed on this request; its log has the cause');
}

export function rejectionStatus(r: Rejection): RpcStatus {
  switch (r.kind) {
    case 'unknown-metric':
      return status(
        'NOT_FOUND',
        'UNKNOWN_METRIC',
        `unknown metric ${quote(r.metric)}; ${meant(r.suggestion, 'see FleetService/ListMetrics')}`,
        withSuggestion({ metric: r.metric }, r.suggestion),
      );
    case 'wrong-kind':
      return status(
        'INVALID_ARGUMENT',
        'WRONG_KIND',
        `metric ${quote(r.metric)} ${r.wanted === 'stacks' ? 'has no label that is a stack' : `is a ${r.found}, not a ${r.wanted}`}; ${meant(r.suggestion, 'or ask QueryService/Query')}`,
        withSuggestion({ metric: r.metric }, r.suggestion),
        {
          field: 'metric',
          description: r.wanted === 'stacks' ? 'a metric with stacks is needed' : `a ${r.wanted} is needed`,
        },
      );
    case 'unknown-host':
      return status(
        'NOT_FOUND',
        'UNKNOWN_HOST',
        `unknown host ${quote(r.host)}; ${meant(r.suggestion, 'see FleetService/ListHosts')}`,
        withSuggestion({ host: r.host }, r.suggestion),
      );
    case 'unknown-probe':
      return status(
        'NOT_FOUND',
        'UNKNOWN_PROBE',
        `no host has a probe ${quote(r.probe)}; ${meant(r.suggestion, 'see FleetService/ListHosts')}`,
        withSuggestion({ probe: r.probe }, r.suggestion),
      );
    case 'still-reporting':
      return status(
        'FAILED_PRECONDITION',
        'STILL_REPORTING',
        `host ${quote(r.host)} still reports and would be listed again at once; stop its agent first`,
        { host: r.host },
      );
    case 'no-host-given':
      return status(
        'INVALID_ARGUMENT',
        'NO_HOST_GIVEN',
        `no host given, and there are ${r.hosts}; see FleetService/ListHosts`,
        {},
        { field: 'host', description: 'give the name of a host' },
      );
    case 'not-counted':
      return status(
        'FAILED_PRECONDITION',
        'NOT_COUNTED',
        `host ${quote(r.host)} does not count ${quote(r.metric)}: ${r.why}; see FleetService/GetHost`,
        { host: r.host, metric: r.metric },
      );
    case 'bad-selector': {
      const description = `column ${r.column}: ${r.problem}`;
      return status(
        'INVALID_ARGUMENT',
        'BAD_SELECTOR',
        `bad selector, ${description}; write conditions as comm="nginx",host=~"web-.*"`,
        { column: String(r.column) },
        { field: 'selector', description },
      );
    }
    case 'unknown-label': {
      const place = r.column === undefined ? '' : `column ${r.column}: `;
      const known = `the labels are ${r.known.join(', ')}`;
      return status(
        'INVALID_ARGUMENT',
        'UNKNOWN_LABEL',
        `unknown label ${quote(r.label)} in ${r.field}; ${meant(r.suggestion, known)}`,
        withSuggestion(
          { label: r.label, ...(r.column === undefined ? {} : { column: String(r.column) }) },
          r.suggestion,
        ),
        {
          field: r.field,
          description: `${place}unknown label ${quote(r.label)}; ${known}`,
        },
      );
    }
    case 'bad-field':
      return status(
        'INVALID_ARGUMENT',
        `BAD_${r.field.toUpperCase()}`,
        `bad ${r.field}: ${r.problem}; ${r.fix}`,
        {},
        { field: r.field, description: `${r.problem}; ${r.fix}` },
      );
    case 'before-retention':
      return status(
        'OUT_OF_RANGE',
        'BEFORE_RETENTION',
        `${r.field} ${quote(r.asked)} begins before the oldest window kept; ask from ${r.oldest} on, or for range "all"`,
        { oldest: r.oldest },
        {
          field: r.field,
          description: `windows are kept from ${r.oldest} on`,
        },
      );
    case 'bad-token':
      return status(
        'INVALID_ARGUMENT',
        'BAD_PAGE_TOKEN',
        `bad page_token: ${r.problem}; repeat the request that gave it, or start again without page_token`,
        {},
        { field: 'page_token', description: r.problem },
      );
    case 'moved-on':
      return status(
        'ABORTED',
        'CHECKPOINT_MOVED_ON',
        'the counts have moved on since the first page, and its answer is no longer kept; start again without page_token',
      );
    case 'too-large':
      return status(
        'RESOURCE_EXHAUSTED',
        'TOO_LARGE',
        `too large: ${r.what} ${r.found} is above the limit of ${r.limit}; ${r.fix}`,
        { limit: String(r.limit), found: String(r.found) },
      );
    case 'scan-too-large':
      return status(
        'RESOURCE_EXHAUSTED',
        'SCAN_TOO_LARGE',
        `too large to scan: ${r.estimate}, and ${r.allowed}; ${r.fix}`,
        { limit: String(r.limit), found: String(r.found) },
      );
    case 'too-many':
      return {
        ...status(
          'RESOURCE_EXHAUSTED',
          'TOO_MANY',
          `no room for another: --${r.limit} is ${r.max}; end others first, try again later, or raise the limit`,
          { limit: r.limit, max: String(r.max) },
        ),
        retryAfterMs,
      };
    default:
      return unreachable(r);
  }
}

const withSuggestion = (metadata: Record<string, string>, suggestion: string | undefined): Record<string, string> =>
  suggestion === undefined ? metadata : { ...metadata, suggestion };
