/** Says once that something is away, again every half minute while it stays so, and when it is back. For all partitions together. */
import type { MusterError } from '../../shared/runtime/errors.ts';
import { describeCause } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';

const againMs = 30_000;

export class Outage {
  private code: string | undefined;
  private saidMs = 0;
  private sinceMs = 0;

  constructor(private readonly log: Log) {}

  failed(error: MusterError): void {
    const now = performance.now();
    if (this.code === undefined) this.sinceMs = now;
    if (this.code === error.code && now - this.saidMs < againMs) return;
    this.code = error.code;
    this.saidMs = now;
    this.log.warn(
      {
        code: error.code,
        reason: describeCause(error.cause),
        remedy: error.remedy,
        forSeconds: Math.round((now - this.sinceMs) / 1000),
      },
      `${error.what}: holding; the bus keeps what is not acknowledged`,
    );
  }

  worked(): void {
    if (this.code === undefined) return;
    this.log.info(
      { code: this.code, afterSeconds: Math.round((performance.now() - this.sinceMs) / 1000) },
      'the store takes checkpoints again',
    );
    this.code = undefined;
  }
}
