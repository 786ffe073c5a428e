/**
 * The machine protocol of qemu: JSON lines over a Unix socket; here only what the faults need.
 * Source: qemu, docs/interop/qmp-spec.txt.
 */
import type { Socket } from 'node:net';

export class Qmp {
  private next = 1;
  private readonly waiting = new Map<number, { resolve(): void; reject(reason: Error): void }>();

  private constructor(private readonly socket: Socket) {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        this.take(text.slice(0, end));
        text = text.slice(end + 1);
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const w of this.waiting.values()) w.reject(new Error('qemu has ended'));
      this.waiting.clear();
    });
  }

  static async open(socket: Socket): Promise<Qmp> {
    const qmp = new Qmp(socket);
    await qmp.execute('qmp_capabilities');
    return qmp;
  }

  execute(command: string, args: object = {}): Promise<void> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private take(line: string): void {
    const message = JSON.parse(line) as { id?: number; error?: { desc: string } };
    // The greeting and events have no id.
    const w = message.id === undefined ? undefined : this.waiting.get(message.id);
    if (!w) return;
    this.waiting.delete(message.id!);
    if (message.error) w.reject(new Error(message.error.desc));
    else w.resolve();
  }
}
