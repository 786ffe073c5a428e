/**
 * Growing sums of 64-bit counters: exact whatever is added, with no object a sum. Low and high limbs are added up apart,
 * in doubles, which hold 2^21 limbs to the last unit; long before that many came, carries move up.
 * int64 on the wire ends at 2^63 - 1; what is larger is shown as that, and said.
 */
const settleEvery = 2 ** 20;
const limb = 2 ** 32;

export class Sums {
  /** Sum i: units at 3i, 2^32 at 3i + 1, 2^64 at 3i + 2. */
  #limbs = new Float64Array(64 * 3);
  /** Additions since carries were moved up. */
  #unsettled = 0;
  /** Sums made so far; those never added to are zero. */
  length = 0;

  /** Adds the counter at limbs[l] (two limbs, low first) to sum i. */
  add(i: number, limbs: Uint32Array, l: number): void {
    if (i >= this.length) this.#reach(i);
    if (++this.#unsettled > settleEvery) this.#settle();
    const a = this.#limbs;
    const at = i * 3;
    a[at] = a[at]! + limbs[l]!;
    a[at + 1] = a[at + 1]! + limbs[l + 1]!;
  }

  addBig(i: number, value: bigint): void {
    if (i >= this.length) this.#reach(i);
    const sum = this.at(i) + value;
    const at = i * 3;
    this.#limbs[at] = Number(sum & 0xffffffffn);
    this.#limbs[at + 1] = Number((sum >> 32n) & 0xffffffffn);
    this.#limbs[at + 2] = Number(sum >> 64n);
  }

  at(i: number): bigint {
    if (i >= this.length) return 0n;
    if (this.#unsettled > 0) this.#settle();
    const [a, at] = [this.#limbs, i * 3];
    return (BigInt(a[at + 2]!) << 64n) + (BigInt(a[at + 1]!) << 32n) + BigInt(a[at]!);
  }

  /** Nearest double, for sorting and rates. */
  near(i: number): number {
    if (i >= this.length) return 0;
    if (this.#unsettled > 0) this.#settle();
    const a = this.#limbs;
    return a[i * 3 + 2]! * 2 ** 64 + a[i * 3 + 1]! * limb + a[i * 3]!;
  }

  isZero(i: number): boolean {
    return i >= this.length || this.near(i) === 0;
  }

  /** Exact order. */
  compare(i: number, j: number): number {
    const near = this.near(i) - this.near(j);
    if (near !== 0) return near;
    const a = this.at(i);
    const b = this.at(j);
    return a < b ? -1 : a > b ? 1 : 0;
  }

  /** After it each limb is below 2^32 but for the last. */
  #settle(): void {
    const a = this.#limbs;
    for (let at = 0; at < this.length * 3; at += 3) {
      const high = a[at + 1]! + Math.floor(a[at]! / limb);
      a[at] = a[at]! % limb;
      a[at + 1] = high % limb;
      a[at + 2] = a[at + 2]! + Math.floor(high / limb);
    }
    this.#unsettled = 0;
  }

  #reach(i: number): void {
    this.length = i + 1;
    if (this.length * 3 <= this.#limbs.length) return;
    const larger = new Float64Array(2 ** Math.ceil(Math.log2(this.length)) * 3);
    larger.set(this.#limbs);
    this.#limbs = larger;
  }
}

export const int64Max = 2n ** 63n - 1n;

/** As int64 on the wire. */
export const int64 = (value: bigint): string =>
  (value > int64Max ? int64Max : value < -int64Max ? -int64Max : value).toString();
