/** The AgentBus port in memory: one stream with a bound and a memory of ids, core messages, and a switch to go away. */
import { MusterError } from '../../services/shared/runtime/errors.ts';
import type { AgentBus } from '../../services/shared/runtime/ports/agent-bus.ts';

export class FakeBroker {
  private stream:
    | { readonly bytesMax: number; readonly messages: Uint8Array[]; readonly ids: Set<string>; bytes: number }
    | undefined;
  private readonly listeners: { readonly subject: string; readonly deliver: (payload: Uint8Array) => void }[] = [];
  private away = false;
  /** Publishes that wait for their answer. */
  private readonly open = new Set<(reason: MusterError) => void>();

  createStream(bytesMax: number): void {
    this.stream = { bytesMax, messages: [], ids: new Set(), bytes: 0 };
  }

  stored(): Uint8Array[] {
    return this.stream?.messages ?? [];
  }

  tell(subject: string, payload: Uint8Array): void {
    if (this.away) return;
    for (const l of this.listeners) if (l.subject === subject) l.deliver(payload);
  }

  down(): void {
    this.away = true;
    for (const reject of this.open) reject(unreachable());
  }

  up(): void {
    this.away = false;
  }

  connect(): AgentBus {
    let closed = false;
    return {
      publish: async (_subject, id, payload) => {
        if (this.away || closed) throw unreachable();
        await this.answerOf();
        this.store(id, payload);
      },
      subscribe: (subject, deliver) => void this.listeners.push({ subject, deliver }),
      close: async () => {
        closed = true;
      },
    };
  }

  /** One turn of the event loop passes between a publish and its answer. */
  private async answerOf(): Promise<void> {
    let settle: (reason: MusterError) => void = () => undefined;
    const lost = new Promise<never>((_, reject) => (settle = reject));
    this.open.add(settle);
    try {
      await Promise.race([new Promise((resolve) => setImmediate(resolve)), lost]);
    } finally {
      this.open.delete(settle);
    }
  }

  private store(id: string, payload: Uint8Array): void {
    const { stream } = this;
    if (!stream) throw new MusterError('bus/publish', 'publish: no stream');
    if (stream.ids.has(id)) return;
    if (stream.bytes + payload.length > stream.bytesMax)
      throw new MusterError('bus/stream-full', 'publish: the stream is full');
    stream.bytes += payload.length;
    stream.ids.add(id);
    stream.messages.push(payload.slice());
  }
}

const unreachable = (): MusterError => new MusterError('bus/unreachable', 'publish: the bus is away');
