/**
 * The keeper's protocol: one JSON object a line each way. Requests {id, op, …}; replies {id, ok: true, …} or
 * {id, ok: false, error: {code, message, what, why, fix, log?}}. Pure: text in, request or error out. Anybody with access to the socket may
 * send anything: every field is checked, and what begins, ends or removes counting is for the keeper's own user alone: the
 * group's other member is the agent, which must not gain any privilege through programs of its own choice.
 */
import { z } from 'zod';
import { MusterError, describeCause } from '../../shared/runtime/errors.ts';

/** Longest line taken, in bytes; a longer one ends the connection. */
export const lineBytesMax = 65536;
const addressesMax = 1024;
/** Of one request; a stack's text has up to 4 KB. */
const stacksMax = 64;
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
  z.object({
    op: z.literal('load'),
    /** An absolute path of an object file, or the name of a built-in probe. */
    object: z.union([z.string().startsWith('/').max(4096), probe]),
    /** Rows by table, instead of the object's own. */
    rows: z.record(probe, z.number().int().positive()).optional(),
    /** Opt-in labels. */
    with: z.array(z.string().max(32)).max(8).optional(),
    /** Functions to attach to, of an object that leaves them open: "/PATH:SYMBOL", "/PATH:SYMBOL:ARGUMENT". */
    functions: z.array(z.string().max(4608)).max(64).optional(),
    /** Take the place of a probe of the same name that counts now. */
    replace: z.boolean().optional(),
  }),
  z.object({ op: z.literal('unload'), probe }),
  z.object({ op: z.literal('detach'), probe: probe.optional() }),
  z.object({ op: z.literal('remove') }),
  z.object({ op: z.literal('retire'), probe, uuid: z.string().regex(/^[0-9a-f]{32}$/) }),
  z.object({ op: z.literal('statistics'), seconds: z.number().positive().max(statisticsSecondsMax) }),
  z.object({
    op: z.literal('stacks'),
    probe,
    uuid: z.string().regex(/^[0-9a-f]{32}$/),
    /** Numbers of stacks, decimal. */
    ids: z.array(z.string().regex(/^\d{1,20}$/)).max(stacksMax),
  }),
  symbols,
]);

export type Request = z.infer<typeof request>;
export type RequestId = string | number | null;

const id = z.union([z.string().max(128), z.number()]);

/** What only the keeper's own user (or root) may ask for. */
export const privileged = (op: Request['op']): boolean => ['load', 'unload', 'detach', 'remove'].includes(op);

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
    remedy: 'ops: status, load, unload, detach, remove, retire, statistics, stacks, symbols',
  });

export const formatReply = (to: RequestId, fields: object): string =>
  `${JSON.stringify({ id: to, ok: true, ...fields })}\n`;

export const formatError = (to: RequestId, error: MusterError): string =>
  `${JSON.stringify({
    id: to,
    ok: false,
    error: {
      code: error.code,
      message: error.message,
      what: error.what,
      why: describeCause(error.cause),
      fix: error.remedy,
      ...(error.log === undefined ? {} : { log: error.log }),
    },
  })}\n`;

/** Answers a request, or throws MusterError. */
export type Answer = (request: Request) => Promise<object>;

/** The reply to a line from a process of `uid` (undefined: unknown); never rejects. */
export async function replyTo(line: string, uid: number | undefined, ownUid: number, answer: Answer): Promise<string> {
  const { id, request } = parseRequest(line);
  if (request instanceof MusterError) return formatError(id, request);
  try {
    if (privileged(request.op) && uid !== 0 && uid !== ownUid) {
      throw new MusterError('keeper/refused', `${request.op}: not for uid ${uid ?? 'unknown'}`, {
        remedy: 'ask as the keeper’s own user',
      });
    }
    return formatReply(id, await answer(request));
  } catch (cause) {
    return formatError(
      id,
      cause instanceof MusterError
        ? cause
        : new MusterError('keeper/refused', `${request.op}: ${describeCause(cause)}`, { cause }),
    );
  }
}
