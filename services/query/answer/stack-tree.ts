/** Stacks as one tree: each node the sum of what was counted in it and below it. Law: value = self + Σ children's values. */
import type { StackNode } from '../../shared/contract/query.ts';
import { utf8Bytes } from './page.ts';
import { int64 } from './sums.ts';

/** What is counted of a stack, and what in the baseline; undefined without one. */
export interface Amount {
  readonly value: bigint;
  readonly base: bigint | undefined;
}

/** What no stack shows. */
export const notShown = '[not shown]';

interface Node {
  readonly name: string;
  readonly children: Map<string, Node>;
  value: bigint;
  self: bigint;
  base: bigint;
  baseSelf: bigint;
}

const nodeOf = (name: string): Node => ({ name, children: new Map(), value: 0n, self: 0n, base: 0n, baseSelf: 0n });

/** Bytes of a node on the wire, at most. */
const bytesOf = (name: string): number => 56 + utf8Bytes(name);

export class StackTree {
  readonly #root = nodeOf('all');

  /** Room that a path needs beyond what is there. */
  bytesFor(path: readonly string[]): number {
    let node: Node | undefined = this.#root;
    return path.reduce((n, name) => n + ((node = node?.children.get(name)) ? 0 : bytesOf(name)), 0);
  }

  add(path: readonly string[], { value, base = 0n }: Amount): void {
    let node = this.#root;
    const reach = (next: Node): void => {
      node = next;
      node.value += value;
      node.base += base;
    };
    reach(node);
    for (const name of path) {
      let child = node.children.get(name);
      if (!child) node.children.set(name, (child = nodeOf(name)));
      reach(child);
    }
    node.self += value;
    node.baseSelf += base;
  }

  /** Each before those below it, the largest first. */
  nodes(withBase: boolean): StackNode[] {
    const found: StackNode[] = [];
    const size = (n: Node): bigint => (n.value > n.base ? n.value : n.base);
    const visit = (node: Node, parent: number): void => {
      const at = found.length;
      found.push({
        parent,
        name: node.name,
        value: int64(node.value),
        self: int64(node.self),
        ...(withBase ? { baselineValue: int64(node.base), baselineSelf: int64(node.baseSelf) } : {}),
      });
      const below = [...node.children.values()];
      below.sort((a, b) => (size(a) > size(b) ? -1 : size(a) < size(b) ? 1 : a.name < b.name ? -1 : 1));
      for (const child of below) visit(child, at);
    };
    visit(this.#root, 0);
    return found;
  }
}
