/**
 * One enum of the running kernel, by name, from its BTF: what the values mean differs between kernels. The kernel has
 * over a hundred thousand types, so that all but the one are stepped over. Source: Documentation/bpf/btf.rst.
 */

/** Bytes after the 12 of each type's head: fixed by kind, and for each of its elements. */
const fixed: readonly number[] = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
const each: readonly number[] = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];
const enumKind = 6;

/** Names by value, in decimal; undefined where the kernel has no such enum, or these bytes are no BTF that is known. */
export function kernelEnum(btf: Uint8Array, name: string): Record<string, string> | undefined {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  if (btf.length < 24 || view.getUint16(0, true) !== 0xeb9f) return undefined;
  const start = view.getUint32(4, true);
  const types = start + view.getUint32(8, true);
  const end = types + view.getUint32(12, true);
  const names = start + view.getUint32(16, true);
  if (end > btf.length || names > btf.length) return undefined;
  const text = (at: number): string => {
    const nul = btf.indexOf(0, names + at);
    return String.fromCharCode(...btf.subarray(names + at, nul));
  };
  const wanted = [...new TextEncoder().encode(name), 0];
  const named = (at: number): boolean => wanted.every((byte, i) => btf[names + at + i] === byte);
  for (let at = types; at + 12 <= end;) {
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f;
    const elements = info & 0xffff;
    const size = fixed[kind];
    if (size === undefined) return undefined;
    const next = at + 12 + size + each[kind]! * elements;
    if (next > end) return undefined;
    if (kind === enumKind && named(view.getUint32(at, true))) {
      const found: Record<string, string> = {};
      for (let e = at + 12; e < next; e += 8) found[view.getInt32(e + 4, true)] = text(view.getUint32(e, true));
      return found;
    }
    at = next;
  }
  return undefined;
}
