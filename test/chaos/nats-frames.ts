/**
 * Cuts one direction of a NATS connection into whole protocol messages, payloads included, whatever the pieces in which
 * TCP brings it. Source: docs.nats.io, client protocol.
 */
export interface Frame {
  readonly bytes: Buffer;
  /** Of a message that carries a payload. */
  readonly subject: string | undefined;
}

export class NatsFrames {
  private rest: Buffer = Buffer.alloc(0);

  push(piece: Buffer): Frame[] {
    this.rest = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece]);
    const frames: Frame[] = [];
    for (;;) {
      const lineEnd = this.rest.indexOf('\r\n');
      if (lineEnd < 0) return frames;
      const line = this.rest.toString('latin1', 0, lineEnd);
      const words = line.split(/\s+/);
      const carries = /^H?(?:PUB|MSG)$/i.test(words[0] ?? '');
      const length = lineEnd + 2 + (carries ? Number(words.at(-1)) + 2 : 0);
      if (this.rest.length < length) return frames;
      frames.push({ bytes: this.rest.subarray(0, length), subject: carries ? words[1] : undefined });
      this.rest = this.rest.subarray(length);
    }
  }
}
