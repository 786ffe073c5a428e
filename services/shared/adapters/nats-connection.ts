/**
 * A connection to nats-server, kept up for ever: with back-off, and a new one each time. The client's own way to connect
 * again waits by the wall clock: a clock set back by an hour kept it away for an hour.
 * Refused credentials and a server without JetStream are told apart from a server that is merely away.
 */
import { connect, credsAuthenticator, Events, type NatsConnection, type NatsError } from 'nats';
import type { TlsIdentity } from '../contract/connections.ts';
import { MusterError, describeCause } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';

/** Where the bus is, and what opens it. */
export interface NatsAccess {
  /** HOST:PORT, or several separated by commas. */
  readonly address: string;
  readonly user?: string;
  readonly password?: string;
  /** Contents of a credentials file. */
  readonly creds?: Uint8Array;
  /** Absent: clear text, unless the server asks for TLS. */
  readonly tls?: TlsIdentity;
}

export interface NatsOptions extends NatsAccess {
  /** Shown by the server, e.g. "muster-agent web-1". */
  readonly name: string;
  /** Last token of the inboxes' prefix `_INBOX.<token>`, which permissions can name. Absent: plain `_INBOX`. */
  readonly inbox?: string;
  readonly log: Log;
  /** First wait between two tries to connect; doubles up to 2 s. */
  readonly firstWaitMs?: number;
}

export interface NatsLink {
  /** The connection while it is up. Throws MusterError bus/unreachable, bus/refused or bus/no-jetstream while it is not. */
  require(): NatsConnection;
  isUp(): boolean;
  /** Resolves when the connection is up for the first time; rejects when it is refused. */
  readonly ready: Promise<void>;
  /** Calls `use` with each new connection, the present one included: to subscribe. */
  each(use: (connection: NatsConnection) => void): void;
  /** Calls `tell` whenever the connection goes down: what was asked and not answered is unknown. */
  onDown(tell: (reason: MusterError) => void): void;
  close(): Promise<void>;
}

const waitMaxMs = 2000;

export const inboxPrefix = ({ inbox }: Pick<NatsOptions, 'inbox'>): string =>
  inbox === undefined ? '_INBOX' : `_INBOX.${inbox}`;

export function keepConnected(options: NatsOptions): NatsLink {
  const { address, log } = options;
  const users: ((connection: NatsConnection) => void)[] = [];
  const tellers: ((reason: MusterError) => void)[] = [];
  let connection: NatsConnection | undefined;
  let up = false;
  let closed = false;
  let trouble = unreachable(address);
  let settle: { resolve(): void; reject(reason: MusterError): void } | undefined;
  const ready = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  ready.catch(() => undefined);
  const abort = new AbortController();

  const down = (reason: MusterError): void => {
    trouble = reason;
    if (up) for (const tell of tellers) tell(reason);
    up = false;
  };

  const watch = async (c: NatsConnection): Promise<void> => {
    for await (const status of c.status()) {
      if (status.type === Events.Error)
        log.error(
          { nats: address, reason: String(status.data), permission: status.permissionContext?.subject },
          'bus refused an operation',
        );
    }
  };

  const run = async (): Promise<void> => {
    let waitMs = options.firstWaitMs ?? 100;
    let said: string | undefined;
    let wasUp = false;
    while (!closed) {
      try {
        connection = await connect({
          servers: address.split(','),
          name: options.name,
          inboxPrefix: inboxPrefix(options),
          ...(options.user !== undefined ? { user: options.user, pass: options.password ?? '' } : {}),
          ...(options.creds ? { authenticator: credsAuthenticator(options.creds) } : {}),
          ...(options.tls ? { tls: { ...options.tls } } : {}),
          reconnect: false,
          pingInterval: 10_000,
          maxPingOut: 2,
          timeout: 5000,
          // A stack trace for each request costs more than the request.
          noAsyncTraces: true,
        });
        if (closed) {
          await connection.close();
          return;
        }
        if (connection.info?.jetstream !== true) {
          trouble = new MusterError('bus/no-jetstream', `connect to ${address}: the server has no JetStream`);
          await connection.close();
          throw trouble;
        }
        up = true;
        if (wasUp) log.info({ nats: connection.getServer() }, 'bus is back');
        wasUp = true;
        waitMs = options.firstWaitMs ?? 100;
        said = undefined;
        for (const use of users) use(connection);
        settle?.resolve();
        void watch(connection).catch((cause: unknown) =>
          log.debug({ reason: describeCause(cause) }, 'status of the bus ended'),
        );
        const ended = await connection.closed();
        if (!closed) {
          down(translate(address, ended));
          log.warn(
            { nats: address, ...(ended ? { reason: describeCause(ended) } : {}) },
            'bus is away; connecting again',
          );
        }
      } catch (cause) {
        trouble = cause instanceof MusterError ? cause : translate(address, cause);
        if (trouble.disposition === 'halt') settle?.reject(trouble);
        if (said !== trouble.code)
          log.warn(
            { nats: address, code: trouble.code, reason: describeCause(cause) },
            'bus cannot be reached; trying on',
          );
        said = trouble.code;
      }
      // Not all hosts of a fleet at once.
      await pause(waitMs * (0.5 + Math.random() / 2), abort.signal);
      waitMs = Math.min(waitMaxMs, waitMs * 2);
    }
  };
  const running = run();

  return {
    ready,
    require() {
      if (!connection || !up) throw trouble;
      return connection;
    },
    isUp: () => up,
    each(use) {
      users.push(use);
      if (connection && up) use(connection);
    },
    onDown(tell) {
      tellers.push(tell);
    },
    async close() {
      closed = true;
      abort.abort();
      up = false;
      if (connection && !connection.isClosed()) await connection.close();
      await running;
    },
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });

const unreachable = (address: string, cause?: unknown): MusterError =>
  new MusterError('bus/unreachable', `connect to nats-server at ${address}`, { cause });

const refusals = new Set([
  'AUTHORIZATION_VIOLATION',
  'AUTHENTICATION_EXPIRED',
  'AUTHENTICATION_TIMEOUT',
  'ACCOUNT_EXPIRED',
  'PERMISSIONS_VIOLATION',
]);

function translate(address: string, cause: unknown): MusterError {
  const code = (cause as NatsError | undefined)?.code ?? '';
  if (refusals.has(code))
    return new MusterError('bus/refused', `connect to nats-server at ${address}: refused`, { cause });
  return unreachable(address, cause);
}
