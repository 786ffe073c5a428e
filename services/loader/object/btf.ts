/**
 * BTF, the type information of a BPF object. Pure: bytes in, types out.
 * Source: Linux Documentation/bpf/btf.rst; kinds unknown here end the parse, since their length is unknown.
 */
import { MusterError } from '../../shared/runtime/errors.ts';
import { ObjectBytes } from './bytes.ts';

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  /** 0 when it is no bit-field. */
  readonly bits: number;
}

export type BtfType =
  | { readonly kind: 'int'; readonly name: string; readonly size: number; readonly signed: boolean }
  | { readonly kind: 'pointer'; readonly name: string; readonly type: number }
  | { readonly kind: 'array'; readonly name: string; readonly type: number; readonly count: number }
  | {
      readonly kind: 'struct' | 'union';
      readonly name: string;
      readonly size: number;
      readonly members: readonly BtfMember[];
    }
  | {
      readonly kind: 'enum';
      readonly name: string;
      readonly size: number;
      readonly names: Readonly<Record<string, string>>;
    }
  /** typedef, const, volatile, restrict, type tag: another name for a type. */
  | { readonly kind: 'alias'; readonly name: string; readonly type: number }
  | { readonly kind: 'variable'; readonly name: string; readonly type: number }
  | { readonly kind: 'section'; readonly name: string; readonly variables: readonly number[] }
  /** `member` is −1 when the tag is on the whole. */
  | { readonly kind: 'tag'; readonly name: string; readonly type: number; readonly member: number }
  | { readonly kind: 'other'; readonly name: string; readonly what: string };

/** Type ids are indices; id 0 is void. */
export type Btf = readonly BtfType[];

const typesMax = 262144;
const refuse = (what: string, values: Record<string, number> = {}): never => {
  throw new MusterError('bpf/object', `read BTF: ${what}`, { values });
};

export function readBtf(bytes: Uint8Array): Btf {
  const header = new ObjectBytes(bytes, 'BTF');
  if (header.u16(0) !== 0xeb9f || header.u8(2) !== 1) refuse('not BTF version 1');
  const start = header.u32(4);
  const types = new ObjectBytes(header.slice(start + header.u32(8), header.u32(12)), 'BTF types');
  const names = new ObjectBytes(header.slice(start + header.u32(16), header.u32(20)), 'BTF names');
  const found: BtfType[] = [{ kind: 'other', name: 'void', what: 'void' }];
  for (let at = 0; at < types.bytes.length;) {
    if (found.length > typesMax) refuse('too many types', { limit: typesMax });
    const [type, next] = readType(types, names, at);
    found.push(type);
    at = next;
  }
  return found;
}

function readType(types: ObjectBytes, names: ObjectBytes, at: number): [BtfType, number] {
  const name = names.name(types.u32(at));
  const infoWord = types.u32(at + 4);
  const length = infoWord & 0xffff;
  const kind = (infoWord >>> 24) & 0x1f;
  const flag = infoWord >>> 31 === 1;
  /** A size or a type, by kind. */
  const word = types.u32(at + 8);
  const body = at + 12;
  const entry = <T>(size: number, read: (offset: number) => T): T[] =>
    Array.from({ length }, (_, i) => read(body + i * size));
  switch (kind) {
    case 1:
      return [{ kind: 'int', name, size: word, signed: (types.u32(body) & (1 << 24)) !== 0 }, body + 4];
    case 2:
      return [{ kind: 'pointer', name, type: word }, body];
    case 3:
      return [{ kind: 'array', name, type: types.u32(body), count: types.u32(body + 8) }, body + 12];
    case 4:
    case 5: {
      const members = entry(12, (offset): BtfMember => {
        const position = types.u32(offset + 8);
        return {
          name: names.name(types.u32(offset)),
          type: types.u32(offset + 4),
          bitOffset: flag ? position & 0xffffff : position,
          bits: flag ? position >>> 24 : 0,
        };
      });
      return [{ kind: kind === 4 ? 'struct' : 'union', name, size: word, members }, body + length * 12];
    }
    case 6: {
      const values = entry(8, (offset) => [
        asSigned(BigInt(types.u32(offset + 4)), word),
        names.name(types.u32(offset)),
      ]);
      return [{ kind: 'enum', name, size: word, names: Object.fromEntries(values) }, body + length * 8];
    }
    case 8:
    case 9:
    case 10:
    case 11:
    case 18:
      return [{ kind: 'alias', name, type: word }, body];
    case 7:
      return [{ kind: 'other', name, what: 'forward declaration' }, body];
    case 12:
      return [{ kind: 'other', name, what: 'function' }, body];
    case 13:
      return [{ kind: 'other', name, what: 'function type' }, body + length * 8];
    case 14:
      return [{ kind: 'variable', name, type: word }, body + 4];
    case 15:
      return [{ kind: 'section', name, variables: entry(12, (offset) => types.u32(offset)) }, body + length * 12];
    case 16:
      return [{ kind: 'other', name, what: 'floating-point number' }, body];
    case 17:
      return [{ kind: 'tag', name, type: word, member: types.i32(body) }, body + 4];
    case 19: {
      const values = entry(12, (offset) => {
        const bits = (BigInt(types.u32(offset + 8)) << 32n) | BigInt(types.u32(offset + 4));
        return [asSigned(bits, word), names.name(types.u32(offset))];
      });
      return [{ kind: 'enum', name, size: word, names: Object.fromEntries(values) }, body + length * 12];
    }
    default:
      return refuse(`unknown kind of type ${kind}`, { offset: at });
  }
}

/** Enum values by their decimal number, taken as signed of the enum's size: as a decoder reads them from a key. */
const asSigned = (value: bigint, bytes: number): string => String(BigInt.asIntN(Math.min(bytes, 8) * 8, value));

/** The type behind typedefs and qualifiers. A cycle of them, which no compiler writes, is refused. */
export function resolve(btf: Btf, id: number): BtfType {
  for (let steps = 0; steps < 32; steps++) {
    const type = btf[id];
    if (!type) return refuse('a type refers to none', { id });
    if (type.kind !== 'alias') return type;
    id = type.type;
  }
  return refuse('typedefs refer to each other in a circle', { id });
}

/** Size in bytes; refused for what has none. */
export function sizeOf(btf: Btf, id: number, depth = 0): number {
  const type = resolve(btf, id);
  if (depth > 16) return refuse('arrays are nested too deeply', { id });
  if (type.kind === 'array') return type.count * sizeOf(btf, type.type, depth + 1);
  if (type.kind === 'pointer') return 8;
  return 'size' in type ? type.size : refuse(`a ${type.kind === 'other' ? type.what : type.kind} has no size`, { id });
}
