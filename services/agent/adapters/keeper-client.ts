/** What the agent asks of the keeper, over its Unix socket: one JSON object a line each way, one connection a request. */
import { createConnection } from 'node:net';
import { z } from 'zod';
import type { MeasuredProgram } from '../effects.ts';
import { MusterError } from '../../shared/runtime/errors.ts';

export interface KeeperClient {
  /** Has the kernel time all programs for `seconds`. Rejects as `retire` does. */
  measure(seconds: number): Promise<MeasuredProgram[]>;
  /** Texts of captured stacks by number; undefined for what the keeper does not know. Rejects as `retire` does. */
  stacks(probe: string, uuid: string, ids: readonly bigint[]): Promise<(string | undefined)[]>;
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
  const checked = async (request: object, patienceMs = 0): Promise<unknown> => {
    if (socket === undefined)
      throw new MusterError('keeper/unreachable', 'ask the keeper: none was named', { remedy: 'give --socket PATH' });
    const answer = await ask(socket, { id: 1, ...request }, answerMs + patienceMs);
    const parsed = reply.safeParse(answer);
    if (!parsed.success) throw notUnderstood();
    if (!parsed.data.ok) throw new MusterError('keeper/refused', `ask the keeper: ${textOf(parsed.data.error)}`);
    return answer;
  };
  return {
    async retire(probe, uuid) {
      await checked({ op: 'retire', probe, uuid });
    },
    async stacks(probe, uuid, ids) {
      const found: (string | undefined)[] = [];
      for (let at = 0; at < ids.length; at += stacksPerRequest) {
        const part = ids.slice(at, at + stacksPerRequest).map(String);
        const texts = stackTexts.safeParse(await checked({ op: 'stacks', probe, uuid, ids: part }));
        if (!texts.success) throw notUnderstood();
        found.push(...part.map((_, i) => texts.data.stacks[i] ?? undefined));
      }
      return found;
    },
    async measure(seconds) {
      const found = measured.safeParse(await checked({ op: 'statistics', seconds }, seconds * 1000));
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
    connection.setTimeout(boundMs, () => fail(`no answer within ${boundMs} ms`));
    connection.on('error', fail);
    connection.on('close', () => fail('closed without an answer'));
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
