/** One request to the keeper over its Unix socket: a JSON line each way. */
import { connect } from 'node:net';
import { MusterError } from '../../shared/runtime/errors.ts';

/** Resolves with the reply's fields. Rejects with MusterError keeper/unreachable or keeper/refused. */
export function askKeeper(
  socket: string,
  request: { readonly op: string },
  timeoutMs: number,
): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    const fail = (cause: unknown): void => {
      connection.destroy();
      reject(new MusterError('keeper/unreachable', `ask the keeper: ${request.op}`, { cause }));
    };
    let text = '';
    connection.setEncoding('utf8');
    connection.setTimeout(timeoutMs, () => fail(`no reply within ${timeoutMs} ms`));
    connection.on('error', fail);
    connection.on('close', () => fail('it closed the connection'));
    connection.on('connect', () => connection.write(`${JSON.stringify({ id: 1, ...request })}\n`));
    connection.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end < 0) return;
      connection.removeAllListeners('close');
      connection.end();
      try {
        const reply = JSON.parse(text.slice(0, end)) as Record<string, unknown>;
        if (reply['ok'] === true) resolve(reply);
        else reject(new MusterError('keeper/refused', `ask the keeper: ${request.op}`, { cause: reply['error'] }));
      } catch (cause) {
        fail(cause);
      }
    });
  });
}
