/** Virtual time: a binary heap of what happens when, in microseconds. Equal instants run in the order they were added. */
interface Happening {
  readonly atUs: number;
  readonly order: number;
  readonly run: () => void;
}

const before = (a: Happening, b: Happening): boolean => a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);

export class EventQueue {
  nowUs = 0;
  private readonly heap: Happening[] = [];
  private order = 0;

  after(delayUs: number, run: () => void): void {
    this.at(this.nowUs + delayUs, run);
  }

  at(atUs: number, run: () => void): void {
    const heap = this.heap;
    const item = { atUs: Math.max(atUs, this.nowUs), order: this.order++, run };
    let i = heap.length;
    heap.push(item);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(item, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = item;
  }

  /** Runs everything up to `untilUs`, then stands there. */
  runUntil(untilUs: number): void {
    while (this.heap.length > 0 && this.heap[0]!.atUs <= untilUs) {
      const next = this.pop();
      this.nowUs = next.atUs;
      next.run();
    }
    this.nowUs = untilUs;
  }

  private pop(): Happening {
    const heap = this.heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    const length = heap.length;
    if (length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= length) break;
      if (child + 1 < length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}
