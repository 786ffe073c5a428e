/** Lets a few commits run at a time, first come first served: many partitions share one connection and one disk. */
export class CommitGate {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly atOnceMax: number) {}

  async run<T>(act: () => Promise<T>): Promise<T> {
    if (this.running >= this.atOnceMax) await new Promise<void>((go) => this.waiting.push(go));
    else this.running++;
    try {
      return await act();
    } finally {
      // The place is handed over, or given back.
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }
}
