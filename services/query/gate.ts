/** How many may be served at once: of all callers together, and of one. A caller is a peer's address without its port. */
import { reject } from './answer/rejection.ts';
import type { Limits } from './limits.ts';

export class Gate {
  readonly #byCaller = new Map<string, number>();
  #inside = 0;

  /** `limit` is the flag's name that sets `max`; of one caller at most `perCallerMax`, set by `limit`-per-caller. */
  constructor(
    readonly limit: string,
    readonly max: number,
    readonly perCallerMax: number,
  ) {}

  get inside(): number {
    return this.#inside;
  }

  /** Rejects where there is no room; else `leave` must follow. */
  enter(caller: string): void {
    const own = this.#byCaller.get(caller) ?? 0;
    if (this.#inside >= this.max) reject({ kind: 'too-many', limit: this.limit, max: this.max });
    if (own >= this.perCallerMax)
      reject({ kind: 'too-many', limit: `${this.limit}-per-caller`, max: this.perCallerMax });
    this.#byCaller.set(caller, own + 1);
    this.#inside++;
  }

  leave(caller: string): void {
    this.#inside--;
    const left = this.#byCaller.get(caller)! - 1;
    if (left > 0) this.#byCaller.set(caller, left);
    else this.#byCaller.delete(caller);
  }
}

export const gatesOf = (limits: Limits): { readonly calls: Gate; readonly watches: Gate } => ({
  calls: new Gate('max-calls', limits.calls, limits.callsPerCaller),
  watches: new Gate('max-watches', limits.watches, limits.watchesPerCaller),
});
