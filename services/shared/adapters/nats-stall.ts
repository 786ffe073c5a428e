/**
 * Tells a bus on which nothing happens from one that holds what it cannot deliver: after damage to its files
 * nats-server may go on accepting messages that no consumer ever gets (2.9 does so behind a flipped byte, with every
 * number of the consumer as if all were well). Pure; told of deliveries and, now and then, of the stream's last position.
 */
export class StallWatch {
  /** Position at the first look since anything was delivered. */
  private first: bigint | undefined;
  /** When a later position was seen. */
  private grewMs = 0;

  constructor(private readonly patienceMs: number) {}

  /** Something was delivered, or could not have been. */
  reset(): void {
    this.first = undefined;
  }

  /** True when messages came since the first look and none was delivered within the patience after that was seen. */
  look(nowMs: number, messages: number, last: bigint): boolean {
    if (messages === 0 || this.first === undefined || last < this.first) {
      this.first = last;
      this.grewMs = Infinity;
    } else if (last > this.first && this.grewMs === Infinity) this.grewMs = nowMs;
    return nowMs - this.grewMs >= this.patienceMs;
  }
}
