/**
 * The keeper's Unix socket: accepts, cuts lines, checks who asks, writes replies in the order of the requests.
 * A socket file that no one listens on is replaced; one that answers is another keeper's, and is left alone.
 */
import { chmodSync, chownSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { dirname } from 'node:path';
import { peerUid } from '../../shared/adapters/libc.ts';
import { MusterError, describeCause } from '../../shared/runtime/errors.ts';
import { LineCutter } from '../../shared/runtime/line-cutter.ts';

const connectionsMax = 32;
const pendingMax = 64;
const idleMs = 300_000;

/** What is said on the socket: keeper/protocol.ts. */
export interface LineServer {
  readonly lineBytesMax: number;
  /** The reply to a line from a process of `uid`; never rejects. */
  reply(line: string, uid: number | undefined): Promise<string>;
  /** The reply to a connection that is about to be closed. */
  refusal(what: string): string;
}

export interface KeeperSocket {
  close(): Promise<void>;
}

export async function listen(path: string, gid: number, lines: LineServer): Promise<KeeperSocket> {
  await removeStale(path);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    serve(socket, lines);
  });
  server.maxConnections = connectionsMax;
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new MusterError('config/invalid', `listen on ${path}: ${describeCause(cause)}`, {
          cause,
          remedy: 'choose another --socket',
        }),
      ),
    );
    // Born without any access for others, then opened to the group.
    const mask = process.umask(0o177);
    server.listen(path, resolve);
    process.umask(mask);
  });
  chownSync(path, -1, gid);
  chmodSync(path, 0o660);
  return { close: () => shut(server, open) };
}

function serve(socket: Socket, server: LineServer): void {
  const uid = peerUid(socket);
  const lines = new LineCutter(server.lineBytesMax);
  let last: Promise<void> = Promise.resolve();
  let pending = 0;
  const end = (message: string): void => {
    socket.end(server.refusal(message));
  };
  socket.setEncoding('utf8');
  socket.setTimeout(idleMs, () => socket.destroy());
  // The other side going away is its own business.
  socket.on('error', () => socket.destroy());
  socket.on('data', (text: string) => {
    const complete = lines.push(text);
    if (!complete) return end('read request: the line is too long');
    for (const line of complete) {
      if (++pending > pendingMax) return end('read request: too many requests wait for an answer');
      last = last.then(async () => {
        const reply = await server.reply(line, uid);
        pending--;
        if (!socket.destroyed) socket.write(reply);
      });
    }
  });
}

/** Removes a socket file without a listener. */
async function removeStale(path: string): Promise<void> {
  const found = await new Promise<string>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve('listening');
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
  });
  if (found === 'listening') {
    throw new MusterError('pins/locked', `listen on ${path}: another keeper answers there`, {
      remedy: 'stop it, or use another --socket',
    });
  }
  // A plain file refuses connections too, and is someone's.
  if (found === 'ECONNREFUSED' && lstatSync(path).isSocket()) unlinkSync(path);
}

async function shut(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of open) socket.destroySoon();
  await closed;
}
