/** A row of docs/techniques.md: a technique, and what each way of doing its task cost and lost. */
export interface Way {
  readonly name: string;
  readonly ours: boolean;
  /** ns per event over the empty hook; absent where the way adds nothing there. */
  readonly ns?: number | undefined;
  /** Events of the known number that are not in the result, or are in it twice. */
  readonly lost: number;
  readonly of: number;
  /** In words, where `lost` does not say all: a bound, a rate. */
  readonly wrong?: string;
  readonly memoryBytes?: number | undefined;
  /** What happens when the process that reads dies. */
  readonly recovery: string;
}

export interface TechniqueRow {
  readonly technique: string;
  /** Name in figures. */
  readonly id: string;
  /** How it was driven. */
  readonly task: string;
  readonly ways: readonly Way[];
  /** What the figures say, in a sentence or two that hold whatever they are. */
  readonly text: string;
}

export const unpinned = 'gone with the process';
export const pinned = 'pinned: counts on';
