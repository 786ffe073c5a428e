/**
 * Port AgentBus on NATS JetStream. A publish resolves when the stream, replicated as configured, has the message. When
 * the connection goes down, what is in flight is rejected at once: its fate is unknown, and cumulative batches make
 * sending again harmless. The aggregator creates the stream.
 */
import { headers, type NatsConnection, type NatsError } from 'nats';
import { MusterError } from '../runtime/errors.ts';
import type { AgentBus } from '../runtime/ports/agent-bus.ts';
import { streamName } from '../contract/subjects.ts';
import { keepConnected, type NatsLink, type NatsOptions } from './nats-connection.ts';

export interface NatsAgentBus extends AgentBus {
  /** Resolves when the server was reached for the first time; rejects with bus/refused or bus/no-jetstream. */
  readonly ready: Promise<void>;
}

/** How long an answer of the stream may take. */
const answerMs = 5000;

export function createNatsAgentBus(options: NatsOptions): NatsAgentBus {
  const link = keepConnected(options);
  /** Rejects of publishes in flight. */
  const waiting = new Set<(reason: MusterError) => void>();
  link.onDown((reason) => {
    for (const reject of waiting) reject(reason);
  });
  return {
    ready: link.ready,
    publish: (subject, id, payload) => publish(link, waiting, subject, id, payload),
    subscribe(subject, deliver) {
      link.each((connection) => {
        connection.subscribe(subject, { callback: (error, message) => error ?? deliver(message.data) });
      });
    },
    close: () => link.close(),
  };
}

async function publish(
  link: NatsLink,
  waiting: Set<(reason: MusterError) => void>,
  subject: string,
  id: string,
  payload: Uint8Array,
): Promise<void> {
  const connection = link.require();
  let reject: ((reason: MusterError) => void) | undefined;
  const lost = new Promise<never>((_, no) => (reject = no));
  waiting.add(reject!);
  try {
    await Promise.race([request(connection, subject, id, payload), lost]);
  } finally {
    waiting.delete(reject!);
  }
}

/** The stream's answer: {"stream","seq"} or {"error":{"code","err_code","description"}}. */
interface Answer {
  readonly stream?: string;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

/** Store full by bytes or messages; no memory or storage left for the account or server. */
const fullCodes = new Set([10077, 10023, 10047, 10028, 10052]);

async function request(connection: NatsConnection, subject: string, id: string, payload: Uint8Array): Promise<void> {
  const header = headers();
  header.set('Nats-Msg-Id', id);
  header.set('Nats-Expected-Stream', streamName);
  let answer: Answer;
  try {
    const message = await connection.request(subject, payload, { headers: header, timeout: answerMs });
    answer = message.json<Answer>();
  } catch (cause) {
    throw translate(subject, cause);
  }
  const { error } = answer;
  if (error) {
    const detail = { values: { stream: streamName, code: error.err_code ?? 0 }, cause: error.description };
    if (fullCodes.has(error.err_code ?? 0) || /maximum (bytes|messages)|insufficient/i.test(error.description ?? '')) {
      throw new MusterError('bus/stream-full', 'publish: the stream is full', detail);
    }
    throw new MusterError('bus/publish', 'publish: the stream refused the message', detail);
  }
  if (answer.stream !== streamName) {
    throw new MusterError('bus/publish', 'publish: another stream took the message', {
      values: { stream: answer.stream ?? '' },
    });
  }
}

function translate(subject: string, cause: unknown): MusterError {
  const code = (cause as NatsError | undefined)?.code ?? '';
  switch (code) {
    case '503':
      return new MusterError('bus/publish', `publish: no stream takes ${subject}`, {
        cause,
        remedy: 'start the aggregator: it creates the stream',
      });
    case 'PERMISSIONS_VIOLATION':
    case 'AUTHORIZATION_VIOLATION':
      return new MusterError('bus/refused', `publish: not allowed on ${subject}`, { cause });
    case 'CONNECTION_CLOSED':
    case 'CONNECTION_DRAINING':
    case 'DISCONNECT':
      return new MusterError('bus/unreachable', 'publish: the connection is closed', { cause });
    case 'MAX_PAYLOAD_EXCEEDED':
      return new MusterError('bus/publish', 'publish: larger than the server allows', {
        cause,
        remedy: 'set max_payload of nats-server to 1 MiB',
      });
    default:
      return new MusterError('bus/publish', `publish: no answer from the stream within ${answerMs} ms`, { cause });
  }
}
