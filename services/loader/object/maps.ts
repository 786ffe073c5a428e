/**
 * The maps that an object declares in section .maps, from BTF: each a variable whose anonymous struct says what it is.
 * `__uint(NAME, N)` is a pointer to an array of N; `__type(NAME, T)` is a pointer to T. Source: <bpf/bpf_helpers.h>.
 */
import type { Btf } from './btf.ts';
import { resolve, sizeOf } from './btf.ts';

export interface MapDeclaration {
  readonly variable: number;
  readonly members: ReadonlyMap<string, number>;
}

/** A map as its bill needs it. */
export interface MapShape {
  readonly name: string;
  /** enum bpf_map_type. */
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Elements; bytes of a ring buffer; 0 where the kernel takes one for each CPU. */
  readonly count: number;
  readonly flags: number;
}

/** Maps of section .maps by name. */
export function readMaps(btf: Btf): Map<string, MapDeclaration> {
  const maps = new Map<string, MapDeclaration>();
  for (const section of btf) {
    if (section.kind !== 'section' || section.name !== '.maps') continue;
    for (const id of section.variables) {
      const variable = btf[id];
      if (variable?.kind !== 'variable') continue;
      const type = resolve(btf, variable.type);
      if (type.kind !== 'struct') continue;
      maps.set(variable.name, { variable: id, members: new Map(type.members.map((m) => [m.name, m.type])) });
    }
  }
  return maps;
}

/** N of `__uint(member, N)`; 0 where there is none. */
export function numberOf(btf: Btf, map: MapDeclaration, member: string): number {
  const id = map.members.get(member);
  const pointer = id === undefined ? undefined : resolve(btf, id);
  const array = pointer?.kind === 'pointer' ? resolve(btf, pointer.type) : undefined;
  return array?.kind === 'array' ? array.count : 0;
}

/** Bytes of `__type(member, T)`, or of `__uint(member_size, N)`. */
function bytesOf(btf: Btf, map: MapDeclaration, member: 'key' | 'value'): number {
  const id = map.members.get(member);
  const pointer = id === undefined ? undefined : resolve(btf, id);
  return pointer?.kind === 'pointer' ? sizeOf(btf, pointer.type) : numberOf(btf, map, `${member}_size`);
}

export const shapeOf = (btf: Btf, name: string, map: MapDeclaration): MapShape => ({
  name,
  type: numberOf(btf, map, 'type'),
  keyBytes: bytesOf(btf, map, 'key'),
  valueBytes: bytesOf(btf, map, 'value'),
  count: numberOf(btf, map, 'max_entries'),
  flags: numberOf(btf, map, 'map_flags'),
});
