/** What the agent asks of the keeper, over its Unix socket: one JSON object a line each way, one connection a request. */
import { createConnection } from 'node:net';
import { z } from 'zod';
import { MusterError } from '../../shared/runtime/errors.ts';

export interface KeeperClient {
  /** Removes the pins of an ended lineage. Rejects with MusterError keeper/unreachable or keeper/refused. */
  retire(probe: string, uuid: string): Promise<void>;
}

const reply = z.object({ ok: z.boolean(), error: z.unknown().optional() });
const answerMs = 5000;
const replyBytesMax = 64 * 1024;

/** `socket` undefined: there is no keeper, and every request says so. */
export function createKeeperClient(socket: string | undefined): KeeperClient {
  return {
    async retire(probe, uuid) {
      if (socket === undefined)
        throw new MusterError('keeper/unreachable', 'ask the keeper: none was named', { remedy: 'give --socket PATH' });
      const answer = reply.safeParse(await ask(socket, { id: 1, op: 'retire', probe, uuid }));
      if (!answer.success) throw new MusterError('keeper/refused', 'ask the keeper: answer not understood');
      if (!answer.data.ok) throw new MusterError('keeper/refused', `ask the keeper: ${textOf(answer.data.error)}`);
    },
  };
}

const textOf = (error: unknown): string => (typeof error === 'string' ? error : (JSON.stringify(error) ?? 'refused'));

function ask(path: string, request: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(path);
    let text = '';
    const fail = (cause: unknown): void => {
      connection.destroy();
      reject(new MusterError('keeper/unreachable', `ask the keeper at ${path}`, { cause }));
    };
    connection.setEncoding('utf8');
    connection.setTimeout(answerMs, () => fail(`no answer within ${answerMs} ms`));
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
