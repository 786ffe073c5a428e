/**
 * Growing sums of 64-bit counters, three u32 limbs each (below 2^96): exact whatever is added, with no object a sum.
 * int64 on the wire ends at 2^63 - 1; what is larger is shown as that, and said.
 */
export class Sums {
  #limbs = new Uint32Array(64 * 3);
  /** Sums made so far; those never added to are zero. */
  length = 0;

  /** Adds the counter at limbs[l] (two limbs, low first) to sum i. */
  add(i: number, limbs: Uint32Array, l: number): void {
    this.#reach(i);
    const a = this.#limbs;
    const at = i * 3;
    const low = a[at]! + limbs[l]!;
    a[at] = low;
    const high = a[at + 1]! + limbs[l + 1]! + (low > 0xffffffff ? 1 : 0);
    a[at + 1] = high;
    if (high > 0xffffffff) a[at + 2] = a[at + 2]! + 1;
  }

  addBig(i: number, value: bigint): void {
    this.#reach(i);
    const sum = this.at(i) + value;
    const at = i * 3;
    this.#limbs[at] = Number(sum & 0xffffffffn);
    this.#limbs[at + 1] = Number((sum >> 32n) & 0xffffffffn);
    this.#limbs[at + 2] = Number((sum >> 64n) & 0xffffffffn);
  }

  at(i: number): bigint {
    if (i >= this.length) return 0n;
    const at = i * 3;
    return (BigInt(this.#limbs[at + 2]!) << 64n) | (BigInt(this.#limbs[at + 1]!) << 32n) | BigInt(this.#limbs[at]!);
  }

  /** Nearest double, for sorting and rates. */
  near(i: number): number {
    if (i >= this.length) return 0;
    const at = i * 3;
    return this.#limbs[at + 2]! * 2 ** 64 + this.#limbs[at + 1]! * 2 ** 32 + this.#limbs[at]!;
  }

  isZero(i: number): boolean {
    const at = i * 3;
    return i >= this.length || (this.#limbs[at] === 0 && this.#limbs[at + 1] === 0 && this.#limbs[at + 2] === 0);
  }

  /** Exact order. */
  compare(i: number, j: number): number {
    const near = this.near(i) - this.near(j);
    if (near !== 0) return near;
    const a = this.at(i);
    const b = this.at(j);
    return a < b ? -1 : a > b ? 1 : 0;
  }

  #reach(i: number): void {
    if (i < this.length) return;
    this.length = i + 1;
    if (this.length * 3 <= this.#limbs.length) return;
    const larger = new Uint32Array(2 ** Math.ceil(Math.log2(this.length)) * 3);
    larger.set(this.#limbs);
    this.#limbs = larger;
  }
}

export const int64Max = 2n ** 63n - 1n;

/** As int64 on the wire. */
export const int64 = (value: bigint): string =>
  (value > int64Max ? int64Max : value < -int64Max ? -int64Max : value).toString();
