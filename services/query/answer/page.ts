/**
 * Pages. An answer is prepared once, in full order, and cut into pages; a token names the request, the state of the
 * checkpoints and the position. The next page comes from the same prepared answer, or from one made again at the same
 * state, so that pages always agree; else the caller must start again.
 *
 *   token = "1" . request hash . state hash . time in base 36 . position in base 36 . check
 */
import { xxh32 } from '../../shared/contract/checksum.ts';
import { replyBytesMax, type MethodName, type ResponseOf } from '../../shared/contract/query.ts';
import { reject } from './rejection.ts';

/** A method's answer in full. */
export interface Prepared<M extends MethodName> {
  /** Rows on all pages; also the cost of keeping it. */
  readonly count: number;
  /** Rows first…last-1, where `last` may be lowered to keep the reply small. `next` gives the token of the rest. */
  page(first: number, last: number, next: (last: number) => string): ResponseOf<M>;
}

export interface PageLimits {
  readonly fallback: number;
  readonly max: number;
}

export interface Position {
  readonly stateHash: string;
  readonly atMs: number;
  readonly first: number;
}

const utf8 = new TextEncoder();
const hash = (text: string): string => {
  const bytes = utf8.encode(text);
  return xxh32(bytes).toString(16).padStart(8, '0') + xxh32(bytes, 1).toString(16).padStart(8, '0');
};

export const stateHash = (state: string): string => hash(state);

/** What must not change between pages: everything but page_size and page_token. */
export function requestHash(method: MethodName, request: object): string {
  const kept = Object.entries(request).filter(
    ([name, v]) =>
      name !== 'pageSize' && name !== 'pageToken' && !name.startsWith('_') && v !== null && v !== undefined,
  );
  return hash(JSON.stringify([method, kept.sort(([a], [b]) => (a < b ? -1 : 1))]));
}

export function encodeToken(request: string, p: Position): string {
  const body = `1.${request}.${p.stateHash}.${p.atMs.toString(36)}.${p.first.toString(36)}`;
  return `${body}.${xxh32(utf8.encode(body)).toString(36)}`;
}

/** Undefined for the first page. */
export function decodeToken(token: string, request: string): Position | undefined {
  if (token === '') return undefined;
  const match = /^(1\.([0-9a-f]{16})\.([0-9a-f]{16})\.([0-9a-z]{1,10})\.([0-9a-z]{1,6}))\.([0-9a-z]{1,7})$/.exec(token);
  if (!match || xxh32(utf8.encode(match[1]!)).toString(36) !== match[6])
    return reject({ kind: 'bad-token', problem: 'not a token of this service' });
  if (match[2] !== request) return reject({ kind: 'bad-token', problem: 'it continues another request' });
  return { stateHash: match[3]!, atMs: parseInt(match[4]!, 36), first: parseInt(match[5]!, 36) };
}

export function pageSize(asked: number, limits: PageLimits): number {
  if (asked < 0 || asked > limits.max) {
    reject({
      kind: 'bad-field',
      field: 'page_size',
      problem: `${asked} is not between 0 and ${limits.max}`,
      fix: `give 1 to ${limits.max}, or 0 for ${limits.fallback}`,
    });
  }
  return asked || limits.fallback;
}

/** Room that notes and coverage may need. */
export const replyReserve = 512 * 1024;

/** The end of a page whose rows have these sizes in bytes; at least one row. */
export function fitPage(first: number, last: number, bytesOf: (row: number) => number): number {
  let room = replyBytesMax - replyReserve;
  for (let row = first; row < last; row++) {
    room -= bytesOf(row);
    if (room < 0 && row > first) return row;
  }
  return last;
}

/** UTF-8 takes at most three bytes a UTF-16 unit, and one where all are ASCII. */
export const utf8Bytes = (text: string): number => (/^[\x00-\x7f]*$/.test(text) ? text.length : text.length * 3);

export const textBytes = (texts: readonly string[]): number => texts.reduce((n, t) => n + utf8Bytes(t) + 8, 0);

/** Prepared answers by request, state and time; the oldest leave first. */
export class PageCache {
  readonly #kept = new Map<string, Prepared<MethodName>>();
  #rows = 0;

  constructor(
    readonly answersMax = 16,
    readonly rowsMax = 1_000_000,
  ) {}

  get<M extends MethodName>(_method: M, request: string, position: Position): Prepared<M> | undefined {
    return this.#kept.get(PageCache.#key(request, position)) as Prepared<M> | undefined;
  }

  put<M extends MethodName>(request: string, position: Position, prepared: Prepared<M>): void {
    if (prepared.count > this.rowsMax) return;
    const key = PageCache.#key(request, position);
    this.#rows += prepared.count - (this.#kept.get(key)?.count ?? 0);
    this.#kept.delete(key);
    this.#kept.set(key, prepared as unknown as Prepared<MethodName>);
    for (const [oldest, { count }] of this.#kept) {
      if (this.#kept.size <= this.answersMax && this.#rows <= this.rowsMax) break;
      this.#kept.delete(oldest);
      this.#rows -= count;
    }
  }

  static #key(request: string, p: Position): string {
    return `${request} ${p.stateHash} ${p.atMs}`;
  }
}
