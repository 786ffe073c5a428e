/**
 * Port AgentBus on NATS JetStream. A publish resolves when the stream, replicated as configured, has the message. When
 * the connection goes down, what is in flight is rejected at once: its fate is unknown, and cumulative batches make
 * sending again harmless. The aggregator creates the stream.
 * Answers come to one inbox of the connection (ADR-4, ADR-8): half the work of the client's own requests.
 */
import { createInbox, headers, type Msg, type NatsConnection } from 'nats';
import { MusterError, describeCause } from '../runtime/errors.ts';
import type { AgentBus } from '../runtime/ports/agent-bus.ts';
import { streamName } from '../contract/subjects.ts';
import { inboxPrefix, keepConnected, type NatsOptions } from './nats-connection.ts';

export interface NatsAgentBus extends AgentBus {
  /** Resolves when the server was reached for the first time; rejects with bus/refused or bus/no-jetstream. */
  readonly ready: Promise<void>;
}

/** How long an answer of the stream may take. */
const answerMs = 5000;

interface Waiting {
  readonly subject: string;
  readonly timer: NodeJS.Timeout;
  resolve(): void;
  reject(reason: MusterError): void;
}

export function createNatsAgentBus(options: NatsOptions): NatsAgentBus {
  const link = keepConnected(options);
  /** Publishes in flight, by the last token of their reply subject. */
  const waiting = new Map<string, Waiting>();
  let inbox = '';
  let next = 0;

  const settle = (token: string, error: MusterError | undefined): void => {
    const w = waiting.get(token);
    if (!w) return;
    waiting.delete(token);
    clearTimeout(w.timer);
    if (error) w.reject(error);
    else w.resolve();
  };
  link.each((connection) => {
    inbox = createInbox(inboxPrefix(options));
    connection.subscribe(`${inbox}.*`, {
      callback: (_error, message) => {
        const token = message.subject.slice(message.subject.lastIndexOf('.') + 1);
        settle(token, refusal(message, waiting.get(token)?.subject ?? ''));
      },
    });
  });
  link.onDown((reason) => {
    for (const token of [...waiting.keys()]) settle(token, reason);
  });

  return {
    ready: link.ready,
    publish(subject, id, payload) {
      return new Promise((resolve, reject) => {
        const token = (next++).toString(36);
        const connection = link.require();
        send(connection, subject, id, payload, `${inbox}.${token}`);
        const timer = setTimeout(
          () =>
            settle(token, new MusterError('bus/publish', `publish: no answer from the stream within ${answerMs} ms`)),
          answerMs,
        );
        waiting.set(token, { subject, timer, resolve, reject });
      });
    },
    subscribe(subject, deliver) {
      link.each((connection) => {
        connection.subscribe(subject, { callback: (error, message) => error ?? deliver(message.data) });
      });
    },
    isUp: () => link.isUp(),
    async close() {
      await link.close();
      for (const token of [...waiting.keys()])
        settle(token, new MusterError('bus/unreachable', 'publish: the connection is closed'));
    },
  };
}

/** Throws MusterError when the client refuses at once. */
function send(connection: NatsConnection, subject: string, id: string, payload: Uint8Array, reply: string): void {
  const header = headers();
  header.set('Nats-Msg-Id', id);
  header.set('Nats-Expected-Stream', streamName);
  try {
    connection.publish(subject, payload, { headers: header, reply });
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? '';
    if (code === 'MAX_PAYLOAD_EXCEEDED') {
      throw new MusterError('bus/publish', 'publish: larger than the server allows', {
        cause,
        remedy: 'set max_payload of nats-server to 1 MiB',
      });
    }
    throw new MusterError('bus/unreachable', `publish: ${describeCause(cause)}`, { cause });
  }
}

/** The stream's answer: {"stream","seq"} or {"error":{"code","err_code","description"}}. */
interface Answer {
  readonly stream?: string;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

/** Store full by bytes or messages; no memory or storage left for the account or server. */
const fullCodes = new Set([10077, 10023, 10047, 10028, 10052]);

/** Undefined when the stream has the message. */
function refusal(message: Msg, subject: string): MusterError | undefined {
  if (message.headers?.code === 503) {
    return new MusterError('bus/publish', `publish: no stream takes ${subject}`, {
      remedy: 'start the aggregator: it creates the stream',
    });
  }
  let answer: Answer;
  try {
    answer = message.json<Answer>();
  } catch (cause) {
    return new MusterError('bus/publish', 'publish: answer not understood', { cause });
  }
  const { error } = answer;
  if (error) {
    const detail = { values: { stream: streamName, code: error.err_code ?? 0 }, cause: error.description };
    return fullCodes.has(error.err_code ?? 0) || /maximum (bytes|messages)|insufficient/i.test(error.description ?? '')
      ? new MusterError('bus/stream-full', 'publish: the stream is full', detail)
      : new MusterError('bus/publish', 'publish: the stream refused the message', detail);
  }
  if (answer.stream !== streamName) {
    return new MusterError('bus/publish', 'publish: another stream took the message', {
      values: { stream: answer.stream ?? '' },
    });
  }
  return undefined;
}
