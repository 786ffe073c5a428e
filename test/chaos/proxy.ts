/** A TCP proxy between a role and a server that cuts, delays, swallows, loses replies, and sends NATS messages twice. */
import net from 'node:net';
import { streamSubjects } from '../../services/shared/contract/subjects.ts';
import { NatsFrames } from './nats-frames.ts';

export type Weather =
  | { readonly kind: 'fair' }
  /** Existing connections are cut, new ones refused. */
  | { readonly kind: 'refusing' }
  /** Every piece waits, in order. */
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Nothing passes and nothing is said; what would have passed is gone, so the connection is cut when it ends. */
  | { readonly kind: 'silent' }
  /** The next request that holds this text passes; instead of its reply the connection ends. */
  | { readonly kind: 'losing-reply'; readonly to: string }
  /** Batches pass twice, in both directions. NATS alone. */
  | { readonly kind: 'doubling' };

const prefix = streamSubjects.replace(/>$/, '');

interface Pair {
  readonly client: net.Socket;
  readonly server: net.Socket;
  swallowed: boolean;
  losing: boolean;
}

export class Proxy {
  private now: Weather = { kind: 'fair' };
  private readonly pairs = new Set<Pair>();
  private readonly listener: net.Server;
  /** What the present weather did: cuts, messages doubled, replies lost. */
  acts = 0;

  private constructor(
    private readonly port: number,
    private readonly speaksNats: boolean,
  ) {
    this.listener = net.createServer((client) => this.accept(client));
  }

  static async open(port: number, speaksNats: boolean): Promise<Proxy> {
    const proxy = new Proxy(port, speaksNats);
    await new Promise<void>((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.listener.address() as net.AddressInfo).port}`;
  }

  set(weather: Weather): void {
    if (this.now.kind === 'silent') for (const pair of this.pairs) if (pair.swallowed) this.cut(pair);
    this.now = weather;
    this.acts = 0;
    if (weather.kind === 'refusing') this.cutAll();
  }

  cutAll(): void {
    for (const pair of this.pairs) this.cut(pair);
  }

  async close(): Promise<void> {
    this.set({ kind: 'refusing' });
    await new Promise((resolve) => this.listener.close(resolve));
  }

  private cut(pair: Pair): void {
    this.acts++;
    this.pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.destroy();
  }

  private accept(client: net.Socket): void {
    if (this.now.kind === 'refusing') {
      this.acts++;
      client.destroy();
      return;
    }
    const server = net.connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    const pair: Pair = { client, server, swallowed: false, losing: false };
    this.pairs.add(pair);
    for (const socket of [client, server]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.pairs.delete(pair);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', this.passing(pair, client, server));
    server.on('data', this.passing(pair, server, client));
  }

  /** One direction. Pieces never overtake each other, whatever the weather was when they came. */
  private passing(pair: Pair, from: net.Socket, to: net.Socket): (piece: Buffer) => void {
    const frames = this.speaksNats ? new NatsFrames() : undefined;
    let queue: Promise<void> | undefined;
    const send = (bytes: Buffer): void => {
      if (!to.write(bytes)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    };
    return (piece) => {
      const weather = this.now;
      if (weather.kind === 'silent') {
        pair.swallowed = true;
        this.acts++;
        return;
      }
      if (from === pair.server && pair.losing) {
        this.cut(pair);
        return;
      }
      if (weather.kind === 'losing-reply' && from === pair.client && piece.includes(weather.to)) pair.losing = true;
      const bytes = frames === undefined ? piece : Buffer.concat(frames.push(piece).flatMap((f) => this.times(f)));
      if (queue === undefined && weather.kind !== 'slow') return send(bytes);
      if (weather.kind === 'slow') this.acts++;
      const due = performance.now() + (weather.kind === 'slow' ? weather.delayMs : 0);
      const mine: Promise<void> = (queue ?? Promise.resolve())
        .then(() => new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, due - performance.now()))))
        .then(() => send(bytes))
        .then(() => {
          if (queue === mine) queue = undefined;
        });
      queue = mine;
    };
  }

  private times(frame: { readonly bytes: Buffer; readonly subject: string | undefined }): Buffer[] {
    if (this.now.kind !== 'doubling' || !frame.subject?.startsWith(prefix)) return [frame.bytes];
    this.acts++;
    return [frame.bytes, frame.bytes];
  }
}
