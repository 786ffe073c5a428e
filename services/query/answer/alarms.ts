/** Which equations were found broken, for the log: each at most once a minute, however often it is asked for. */
import { unbalanced } from './ledger.ts';

const everyMs = 60_000;
const keptMax = 1000;

export class Alarms {
  readonly #toldMs = new Map<string, number>();

  /** Of an answer's notes those that are alarms and were not told just now. */
  take(notes: readonly string[], nowMs: number): string[] {
    return notes.filter((note) => {
      const at = note.indexOf(unbalanced);
      if (at < 0) return false;
      const where = note.slice(0, at);
      if (Math.abs(nowMs - (this.#toldMs.get(where) ?? -Infinity)) < everyMs) return false;
      if (this.#toldMs.size >= keptMax) this.#toldMs.clear();
      this.#toldMs.set(where, nowMs);
      return true;
    });
  }
}
