/**
 * The keeper's Unix socket: accepts, cuts lines, checks who asks, writes replies in the order of the requests.
 * A socket file that no one listens on is replaced; one that answers is another keeper's, and is left alone.
 */
import { chmodSync, chownSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { dirname } from 'node:path';
import { peerUid } from '../../shared/adapters/libc.ts';
import { MusterError, describeCause } from '../../shared/runtime/errors.ts';
import { LineCutter, formatError, formatReply, parseRequest, privileged } from '../keeper/protocol.ts';
import type { Request } from '../keeper/protocol.ts';

const connectionsMax = 32;
const pendingMax = 64;
const idleMs = 300_000;

/** Answers a request, or throws MusterError. */
export type Answer = (request: Request) => Promise<object>;

export interface KeeperSocket {
  close(): Promise<void>;
}

export async function listen(path: string, gid: number, ownUid: number, answer: Answer): Promise<KeeperSocket> {
  await removeStale(path);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    serve(socket, ownUid, answer);
  });
  server.maxConnections = connectionsMax;
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new MusterError('config/invalid', `listen on ${path}: ${describeCause(cause)}`, { cause, remedy: 'choose another --socket' })));
    // Born without any access for others, then opened to the group.
    const mask = process.umask(0o177);
    server.listen(path, resolve);
    process.umask(mask);
  });
  chownSync(path, -1, gid);
  chmodSync(path, 0o660);
  return { close: () => shut(server, open) };
}

function serve(socket: Socket, ownUid: number, answer: Answer): void {
  const uid = peerUid(socket);
  const lines = new LineCutter();
  let last: Promise<void> = Promise.resolve();
  let pending = 0;
  const end = (message: string): void => {
    socket.end(formatError(null, new MusterError('keeper/refused', message)));
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
        const reply = await replyTo(line, uid, ownUid, answer);
        pending--;
        if (!socket.destroyed) socket.write(reply);
      });
    }
  });
}

async function replyTo(line: string, uid: number | undefined, ownUid: number, answer: Answer): Promise<string> {
  const { id, request } = parseRequest(line);
  if (request instanceof MusterError) return formatError(id, request);
  try {
    if (privileged(request.op) && uid !== 0 && uid !== ownUid) {
      throw new MusterError('keeper/refused', `${request.op}: not for uid ${uid ?? 'unknown'}`, { remedy: 'ask as the keeper’s own user' });
    }
    return formatReply(id, await answer(request));
  } catch (cause) {
    const error = cause instanceof MusterError ? cause : new MusterError('keeper/refused', `${request.op}: ${describeCause(cause)}`, { cause });
    return formatError(id, error);
  }
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
    throw new MusterError('pins/locked', `listen on ${path}: another keeper answers there`, { remedy: 'stop it, or use another --socket' });
  }
  if (found === 'ECONNREFUSED') unlinkSync(path);
}

async function shut(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of open) socket.destroySoon();
  await closed;
}
