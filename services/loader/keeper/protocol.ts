/**
 * The keeper's protocol: one JSON object a line each way. Requests {id, op, …}; replies {id, ok: true, …} or
 * {id, ok: false, error: {code, message}}. Pure: text in, request or error out. Anybody with access to the socket may
 * send anything: every field is checked, and what ends or removes counting is for the keeper's own user alone.
 */
import { z } from 'zod';
import { MusterError } from '../../shared/runtime/errors.ts';

/** Longest line taken, in bytes; a longer one ends the connection. */
export const lineBytesMax = 65536;
const addressesMax = 1024;
export const statisticsSecondsMax = 60;

const probe = z.string().regex(/^[a-z][a-z0-9_]*$/);
const address = z.string().regex(/^(0x)?[0-9a-f]{1,16}$/i);
const addresses = z.array(address).max(addressesMax);

const symbols = z.discriminatedUnion('kind', [
  z.object({ op: z.literal('symbols'), kind: z.literal('kernel'), addresses }),
  z.object({ op: z.literal('symbols'), kind: z.literal('user'), pid: z.number().int().positive(), addresses }),
]);

const request = z.discriminatedUnion('op', [
  z.object({ op: z.literal('status') }),
  z.object({ op: z.literal('detach'), probe: probe.optional() }),
  z.object({ op: z.literal('remove') }),
  z.object({ op: z.literal('retire'), probe, uuid: z.string().regex(/^[0-9a-f]{32}$/) }),
  z.object({ op: z.literal('statistics'), seconds: z.number().positive().max(statisticsSecondsMax) }),
  symbols,
]);

export type Request = z.infer<typeof request>;
export type RequestId = string | number | null;

const id = z.union([z.string().max(128), z.number()]);

/** What only the keeper's own user (or root) may ask for. */
export const privileged = (op: Request['op']): boolean => op === 'detach' || op === 'remove';

/** A line as a request with its id; the id is null where there is none to be read. */
export function parseRequest(line: string): { id: RequestId; request: Request | MusterError } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    return { id: null, request: refuse('not JSON', cause) };
  }
  const parsedId = id.safeParse((value as { id?: unknown } | null)?.id);
  const found = parsedId.success ? parsedId.data : null;
  const parsed = request.safeParse(value);
  if (parsed.success) return { id: found, request: parsed.data };
  const issue = parsed.error.issues[0]!;
  return { id: found, request: refuse(`${issue.path.join('.') || 'request'}: ${issue.message}`) };
}

const refuse = (what: string, cause?: unknown): MusterError =>
  new MusterError('keeper/refused', `read request: ${what}`, {
    ...(cause === undefined ? {} : { cause }),
    remedy: 'ops: status, detach, remove, retire, statistics, symbols',
  });

export const formatReply = (to: RequestId, fields: object): string => `${JSON.stringify({ id: to, ok: true, ...fields })}\n`;

export const formatError = (to: RequestId, error: MusterError): string =>
  `${JSON.stringify({ id: to, ok: false, error: { code: error.code, message: error.message } })}\n`;

/** Cuts a stream into lines, holding at most one unfinished line. */
export class LineCutter {
  private rest = '';

  /** The lines completed by `text`; undefined when a line is too long. */
  push(text: string): string[] | undefined {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    if (this.rest.length > lineBytesMax || lines.some((line) => line.length > lineBytesMax)) return undefined;
    return lines.filter((line) => line.trim() !== '');
  }
}
