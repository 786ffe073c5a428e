/** A row of the table of techniques: a task, and the ways to do it that docs/techniques.md shows side by side. */
import { counted, netNs, type Form, type Loaded } from './form.ts';

/** What one way cost and lost. */
export interface Way {
  readonly name: string;
  readonly ours: boolean;
  /** ns per event over the empty hook; absent where the way has no program of its own. */
  readonly ns?: number | undefined;
  /** Events in the result, of those there were: fewer are lost, more are counted again. */
  readonly found: number;
  readonly of: number;
  /** In words, where that does not say all: a bound, a rate, what reading costs. */
  readonly note?: string | undefined;
  /** Kernel memory. */
  readonly memoryBytes?: number | undefined;
  /** What becomes of the counts when the process that reads them dies. */
  readonly recovery: string;
}

export interface Technique {
  /** Name in figures. */
  readonly id: string;
  readonly name: string;
  /** How it is driven, and what counts as lost. */
  readonly task: string;
  /** What the figures say, in a sentence or two that hold whatever they are. */
  readonly text: string;
  /** The programs it loads. */
  readonly forms: readonly Form[];
  measure(turns: number): Promise<Way[]>;
}

export const unpinned = 'gone';
export const pinned = 'counts on (pinned)';

/** A form as a way. */
export const wayOf = (form: Form, measured: Omit<Way, 'name' | 'ours' | 'recovery'>): Way => ({
  ...{ name: form.name, ours: form.ours, recovery: form.ours ? pinned : unpinned },
  ...measured,
});

/** A form, and what it says it found. */
export interface Asked {
  readonly form: Form;
  ask(loaded: Loaded): { readonly found: number; readonly note?: string };
}

export interface Driven {
  readonly threads: number;
  /** Numbers in rotation. */
  readonly keys: number;
  /** By each thread. */
  readonly calls: number;
  /** What should be found, if not one for each call. */
  readonly of?: number;
  /** Numbers in rotation while time is taken, on one CPU; absent: it is not. */
  readonly timedKeys?: number;
}

/** Times the forms in turns, then drives each with the same known calls and asks it. */
export async function sideBySide(asked: readonly Asked[], driven: Driven, turns: number): Promise<Way[]> {
  const { threads, keys, calls, of = threads * calls, timedKeys } = driven;
  const forms = asked.map((a) => a.form);
  const ns = timedKeys === undefined ? new Map<string, number>() : await netNs(forms, timedKeys, turns);
  const ways: Way[] = [];
  for (const { form, ask } of asked) {
    const found = await counted(form, threads, keys, calls, (l) => ({ ...ask(l), memoryBytes: l.memoryBytes() }));
    ways.push(wayOf(form, { ...found, ns: ns.get(form.name), of }));
  }
  return ways;
}
