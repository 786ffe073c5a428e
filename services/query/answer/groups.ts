/**
 * Groups as dense numbers: the path of a row's label numbers through a trie of pairs. Two levels when a finer label
 * (a histogram's bucket) splits each group into cells.
 */
import type { Dictionary } from '../checkpoint/dictionary.ts';
import { reject } from './rejection.ts';

/** Dictionary numbers and nodes stay below this, so that a pair is one exact double. */
const pairBase = 2 ** 26;

export class Groups {
  readonly #nodes = new Map<number, number>();
  readonly #byNode = new Map<number, number>();
  /** Label numbers of each group, in the order of the grouping. */
  readonly labels: (readonly number[])[] = [];
  #nodeCount = 1;

  constructor(
    readonly dictionary: Dictionary,
    readonly groupsMax: number,
  ) {}

  /** The node one label further; node 0 is the start. */
  step(node: number, label: number): number {
    const pair = node * pairBase + label;
    let next = this.#nodes.get(pair);
    if (next === undefined) {
      next = this.#nodeCount++;
      this.#nodes.set(pair, next);
    }
    return next;
  }

  /** The group at the end of a path. `labels` is called for a new group only. */
  at(node: number, labels: () => readonly number[]): number {
    let group = this.#byNode.get(node);
    if (group === undefined) {
      group = this.labels.length;
      if (group >= this.groupsMax) {
        reject({
          kind: 'too-large',
          what: 'groups',
          found: group + 1,
          limit: this.groupsMax,
          fix: 'group by fewer labels, or select fewer rows',
        });
      }
      this.#byNode.set(node, group);
      this.labels.push(labels());
    }
    return group;
  }

  texts(group: number): string[] {
    return this.labels[group]!.map((id) => this.dictionary.text(id));
  }
}
