/** What the agent asks of the keeper, over its Unix socket: one JSON object a line each way, one connection a request. */
import { createConnection } from 'node:net';
import { z } from 'zod';
import type { MeasuredProgram } from '../effects.ts';
import { MusterError } from '../../shared/runtime/errors.ts';

export interface KeeperClient {
  /** Has the kernel time all programs for `seconds`. Rejects as `retire` does. */
  measure(seconds: number): Promise<MeasuredProgram[]>;
  /**
   * Texts of captured stacks by number; undefined for what the keeper does not know. Never rejects: what it could not
   * ask within `withinMs` in all is left out at the end, and `failure` says why.
   */
  stacks(
    probe: string,
    uuid: string,
    ids: readonly bigint[],
    withinMs: number,
  ): Promise<{ readonly texts: (string | undefined)[]; readonly failure?: unknown }>;
  /** Removes the pins of an ended lineage. Rejects with MusterError keeper/unreachable or keeper/refused. */
  retire(probe: string, uuid: string): Promise<void>;
}

const digits = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);
const measured = z.object({
  elapsedNs: digits,
  programs: z.array(z.object({ uuid: z.string(), program: z.string(), runs: digits, runTimeNs: digits })),
});
const reply = z.object({ ok: z.boolean(), error: z.unknown().optional() });
const stackTexts = z.object({ stacks: z.array(z.string().nullable()) });
const stacksPerRequest = 64;
const answerMs = 5000;
/** 64 stacks of 4 KB, escaped as JSON. */
const replyBytesMax = 1024 * 1024;

/** `socket` undefined: there is no keeper, and every request says so. */
export function createKeeperClient(socket: string | undefined): KeeperClient {
  const checked = async (request: object, boundMs = answerMs): Promise<unknown> => {
    if (socket === undefined)
      throw new MusterError('keeper/unreachable', 'ask the keeper: none was named', { remedy: 'give --socket PATH' });
    const answer = await ask(socket, { id: 1, ...request }, boundMs);
    const parsed = reply.safeParse(answer);
    if (!parsed.success) throw notUnderstood();
    if (!parsed.data.ok) throw new MusterError('keeper/refused', `ask the keeper: ${textOf(parsed.data.error)}`);
    return answer;
  };
  return {
    async retire(probe, uuid) {
      await checked({ op: 'retire', probe, uuid });
    },
    async stacks(probe, uuid, ids, withinMs) {
      const texts: (string | undefined)[] = [];
      const endMs = performance.now() + withinMs;
      try {
        for (let at = 0; at < ids.length; at += stacksPerRequest) {
          const part = ids.slice(at, at + stacksPerRequest).map(String);
          const leftMs = Math.max(1, Math.ceil(endMs - performance.now()));
          const answer = stackTexts.safeParse(await checked({ op: 'stacks', probe, uuid, ids: part }, leftMs));
          if (!answer.success) throw notUnderstood();
          texts.push(...part.map((_, i) => answer.data.stacks[i] ?? undefined));
        }
      } catch (failure) {
        return { texts, failure };
      }
      return { texts };
    },
    async measure(seconds) {
      const found = measured.safeParse(await checked({ op: 'statistics', seconds }, answerMs + seconds * 1000));
      if (!found.success) throw notUnderstood();
      const { elapsedNs, programs } = found.data;
      return programs.map(({ uuid, program, runs, runTimeNs }) => ({
        uuid,
        program,
        periodNs: elapsedNs,
        periodRuns: runs,
        periodRunTimeNs: runTimeNs,
      }));
    },
  };
}

const notUnderstood = (): MusterError => new MusterError('keeper/refused', 'ask the keeper: answer not understood');

const textOf = (error: unknown): string => (typeof error === 'string' ? error : (JSON.stringify(error) ?? 'refused'));

function ask(path: string, request: object, boundMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(path);
    let text = '';
    const fail = (cause: unknown): void => {
      connection.destroy();
      reject(new MusterError('keeper/unreachable', `ask the keeper at ${path}`, { cause }));
    };
    connection.setEncoding('utf8');
    // A bound on the whole answer, not on the silence between two pieces of it.
    const bound = setTimeout(() => fail(`no answer within ${boundMs} ms`), boundMs);
    connection.on('error', fail);
    connection.on('close', () => {
      clearTimeout(bound);
      fail('closed without an answer');
    });
    connection.on('connect', () => connection.write(`${JSON.stringify(request)}\n`));
    connection.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0) {
        if (text.length > replyBytesMax) fail('answer too long');
        return;
      }
      try {
        resolve(JSON.parse(text.slice(0, end)));
        connection.destroy();
      } catch (cause) {
        fail(cause);
      }
    });
  });
}
