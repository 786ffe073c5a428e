/**
 * What the running kernel's BTF says of one type: an enum's values, which each kernel numbers anew, or whether a struct
 * has some members. The kernel has over a hundred thousand types, so that all but those asked for are stepped over.
 * Source: Documentation/bpf/btf.rst.
 */

/** Bytes after the 12 of each type's head: fixed by kind, and for each of its elements. */
const fixed: readonly number[] = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
const each: readonly number[] = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];
const structKind = 4;
const enumKind = 6;

interface Found {
  readonly view: DataView;
  /** Offset of the type's head, of its first element, and past its last. */
  readonly head: number;
  readonly first: number;
  readonly next: number;
  readonly elements: number;
  /** True when the name at this offset among the names is `name`. */
  readonly named: (at: number, name: Uint8Array) => boolean;
  readonly text: (at: number) => string;
}

const withEnd = (name: string): Uint8Array => new Uint8Array([...new TextEncoder().encode(name), 0]);

/** All types of a kind; ends early where the bytes are no BTF that is known. */
function* typesOf(btf: Uint8Array, kind: number): Generator<Found> {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  if (btf.length < 24 || view.getUint16(0, true) !== 0xeb9f) return;
  const start = view.getUint32(4, true);
  const types = start + view.getUint32(8, true);
  const end = types + view.getUint32(12, true);
  const names = start + view.getUint32(16, true);
  if (end > btf.length || names > btf.length) return;
  const text = (at: number): string => String.fromCharCode(...btf.subarray(names + at, btf.indexOf(0, names + at)));
  const named = (at: number, name: Uint8Array): boolean => name.every((byte, i) => btf[names + at + i] === byte);
  for (let head = types; head + 12 <= end;) {
    const info = view.getUint32(head + 4, true);
    const of = (info >>> 24) & 0x1f;
    const elements = info & 0xffff;
    const size = fixed[of];
    if (size === undefined) return;
    const next = head + 12 + size + each[of]! * elements;
    if (next > end) return;
    if (of === kind) yield { view, head, first: head + 12 + size, next, elements, named, text };
    head = next;
  }
}

/** Names by value, in decimal; undefined where the kernel has no such enum. */
export function kernelEnum(btf: Uint8Array, name: string): Record<string, string> | undefined {
  const wanted = withEnd(name);
  for (const { view, head, first, next, named, text } of typesOf(btf, enumKind)) {
    if (!named(view.getUint32(head, true), wanted)) continue;
    const found: Record<string, string> = {};
    for (let e = first; e < next; e += 8) found[view.getInt32(e + 4, true)] = text(view.getUint32(e, true));
    return found;
  }
  return undefined;
}

/** True when some struct, which may have no name, has all these members. */
export function kernelStructHas(btf: Uint8Array, ...members: readonly string[]): boolean {
  const wanted = members.map(withEnd);
  for (const { view, first, next, elements, named } of typesOf(btf, structKind)) {
    if (elements < wanted.length) continue;
    const has = (name: Uint8Array): boolean => {
      for (let e = first; e < next; e += 12) if (named(view.getUint32(e, true), name)) return true;
      return false;
    };
    if (wanted.every(has)) return true;
  }
  return false;
}
