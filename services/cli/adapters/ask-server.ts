/**
 * Asks a nats-server or redis-server of our own whether it answers: over a connection of its own, in clear text, with
 * nothing of a client that could be at fault. Sources: the NATS client protocol; RESP.
 */
import { createConnection } from 'node:net';

/** An answer, or why there was none. */
export type Answer = { readonly answered: true } | { readonly answered: false; readonly reason: string };

const inbox = '_INBOX.muster-up';
const questions = {
  // JetStream has to answer too: with its store out of order the server still says PONG.
  nats: [
    'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"name":"muster up"}',
    `SUB ${inbox} 1`,
    `PUB $JS.API.INFO ${inbox} 0`,
    '',
    'PING',
    '',
  ].join('\r\n'),
  redis: 'PING\r\n',
} as const;

/** What an answer lacks yet; undefined when it is whole. A refusal is an answer. */
const lacking = {
  nats: (text: string): string | undefined => {
    if (/^-ERR/m.test(text)) return undefined;
    if (!text.startsWith('INFO ')) return 'no greeting';
    if (/^NATS\/1\.0 503/m.test(text)) return 'JetStream is not available';
    if (!text.includes(`MSG ${inbox} `)) return 'no answer from JetStream';
    return /^PONG/m.test(text) ? undefined : 'no answer to PING';
  },
  redis: (text: string): string | undefined => (text.includes('\n') ? undefined : 'no answer to PING'),
} as const;

/** Resolves within `withinMs`. */
export function askServer(server: 'nats' | 'redis', port: number, withinMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    let text = '';
    const end = (answer: Answer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end({ answered: false, reason: lacking[server](text) ?? 'no answer' }), withinMs);
    socket.setEncoding('latin1');
    socket.on('connect', () => socket.write(questions[server]));
    socket.on('error', (error) => end({ answered: false, reason: error.message }));
    socket.on('close', () => end({ answered: false, reason: 'it closed the connection' }));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (lacking[server](text) === undefined) end({ answered: true });
    });
  });
}
