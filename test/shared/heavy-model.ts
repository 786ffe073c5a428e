/** A table of heavy hitters as bpf/sketch.h keeps it on one host, one generation, for tests. */
import { heavyPart } from '../../services/shared/algebra/heavy.ts';

export class HeavyModel {
  readonly #own = new Map<number, number>();
  /** By CPU. */
  readonly #shared: Map<number, number>[];
  readonly #seen: number[];

  constructor(cpus: number) {
    this.#shared = Array.from({ length: cpus }, () => new Map<number, number>());
    this.#seen = new Array<number>(cpus).fill(0);
  }

  add(key: number, cell: number, n: number, cpu: number): void {
    this.#seen[cpu]! += n;
    const own = this.#own.get(key);
    const held = this.#shared[cpu]!.get(cell) ?? 0;
    if (own !== undefined) this.#own.set(key, own + n);
    else if ((held + n) * heavyPart >= this.#seen[cpu]!) this.#own.set(key, n);
    else this.#shared[cpu]!.set(cell, held + n);
  }

  own(key: number): number {
    return this.#own.get(key) ?? 0;
  }

  shared(cell: number): number {
    return this.#shared.reduce((sum, cpu) => sum + (cpu.get(cell) ?? 0), 0);
  }

  rows(): number {
    return this.#own.size;
  }

  seen(): number {
    return this.#seen.reduce((a, b) => a + b, 0);
  }

  counted(): number {
    const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);
    return sum(this.#own.values()) + this.#shared.reduce((all, cpu) => all + sum(cpu.values()), 0);
  }
}
