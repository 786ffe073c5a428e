/**
 * Names that only this host knows, by kind and number: looked up outside, once, and kept as long as rows may need them.
 * A number that was looked up in vain has no name. Two ages: what the last generation used is still known in this one;
 * what neither used is forgotten.
 */
export const nameKinds = ['cgroup', 'process', 'cmdline', 'device', 'irq', 'netdev', 'stack'] as const;
export type NameKind = (typeof nameKinds)[number];

/** A name that is wanted. */
export interface NameWanted {
  readonly kind: NameKind;
  /** Unsigned. */
  readonly id: bigint;
}

/** As decoders see it. */
export type NameOf = (kind: NameKind, id: bigint) => string | undefined;

export class NameBook {
  private now = new Map<string, string>();
  private before = new Map<string, string>();

  /** Undefined: not known, or without a name. */
  readonly nameOf: NameOf = (kind, id) => this.find(key(kind, id)) || undefined;

  /** False: never looked up. */
  has(kind: NameKind, id: bigint): boolean {
    return this.find(key(kind, id)) !== undefined;
  }

  /** The answer to what was wanted; a name that is missing is noted as such. */
  note(wanted: readonly NameWanted[], names: readonly (string | undefined)[]): void {
    wanted.forEach(({ kind, id }, i) => this.now.set(key(kind, id), names[i] ?? ''));
  }

  /** A new generation begins. */
  turn(): void {
    this.before = this.now;
    this.now = new Map();
  }

  private find(k: string): string | undefined {
    const found = this.now.get(k);
    if (found !== undefined) return found;
    const older = this.before.get(k);
    // What had no name may have one by now.
    if (older) this.now.set(k, older);
    return older || undefined;
  }
}

const key = (kind: NameKind, id: bigint): string => `${kind} ${id}`;
