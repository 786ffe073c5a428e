/**
 * The parts of an ELF object that a BPF loader needs: sections and symbols. Pure: bytes in, value out.
 * Source: ELF-64 Object File Format; machine EM_BPF (247), little endian.
 */
import { MusterError } from '../../shared/runtime/errors.ts';
import { ObjectBytes } from './bytes.ts';

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly executable: boolean;
  readonly bytes: Uint8Array;
  /** In memory: of a section that holds no bytes (.bss) too. */
  readonly size: number;
  readonly link: number;
}

export interface ElfSymbol {
  readonly name: string;
  /** Index into sections; 0 and values from 0xff00 are none. */
  readonly section: number;
  readonly kind: 'object' | 'function' | 'other';
  readonly offset: number;
  readonly size: number;
}

export interface Elf {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
}

const sectionsMax = 4096;
const symbolsMax = 65536;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SHF_EXECINSTR = 4;
const EM_BPF = 247;

const refuse = (what: string, values: Record<string, number> = {}): never => {
  throw new MusterError('bpf/object', `read ELF: ${what}`, { values });
};

export function readElf(bytes: Uint8Array): Elf {
  const file = new ObjectBytes(bytes, 'ELF');
  if (bytes.length < 64 || file.u32(0) !== 0x464c457f) refuse('this is no ELF file', { bytes: bytes.length });
  if (file.u8(4) !== 2 || file.u8(5) !== 1) refuse('this is not 64-bit little-endian');
  if (file.u16(18) !== EM_BPF) refuse('this is not a BPF object', { machine: file.u16(18), expected: EM_BPF });
  const table = file.u64(40);
  const size = file.u16(58);
  const count = file.u16(60);
  const nameIndex = file.u16(62);
  if (size < 64 || count > sectionsMax || nameIndex >= count) refuse('its section table is damaged', { size, count });
  const names = namesAt(file, file.u64(table + nameIndex * size + 24), file.u64(table + nameIndex * size + 32));
  const sections = Array.from({ length: count }, (_, i): ElfSection => {
    const at = table + i * size;
    const type = file.u32(at + 4);
    const holds = type !== SHT_NOBITS && type !== 0;
    return {
      name: i === 0 ? '' : names.name(file.u32(at)),
      type,
      executable: (file.u64(at + 8) & SHF_EXECINSTR) !== 0,
      bytes: holds ? file.slice(file.u64(at + 24), file.u64(at + 32)) : new Uint8Array(),
      size: file.u64(at + 32),
      link: file.u32(at + 40),
    };
  });
  return { sections, symbols: readSymbols(sections) };
}

const namesAt = (file: ObjectBytes, offset: number, size: number): ObjectBytes =>
  new ObjectBytes(file.slice(offset, size), 'ELF names');

function readSymbols(sections: readonly ElfSection[]): ElfSymbol[] {
  const section = sections.find((s) => s.type === SHT_SYMTAB);
  if (!section) return refuse('it has no symbols');
  const names = sections[section.link];
  if (!names) return refuse('its symbols have no names', { link: section.link });
  const text = new ObjectBytes(names.bytes, 'ELF symbol names');
  const table = new ObjectBytes(section.bytes, 'ELF symbols');
  const count = Math.floor(section.bytes.length / 24);
  if (count > symbolsMax) refuse('too many symbols', { count, limit: symbolsMax });
  return Array.from({ length: count }, (_, i): ElfSymbol => {
    const at = i * 24;
    const kind = table.u8(at + 4) & 15;
    return {
      name: text.name(table.u32(at)),
      section: table.u16(at + 6),
      kind: kind === 1 ? 'object' : kind === 2 ? 'function' : 'other',
      offset: table.u64(at + 8),
      size: table.u64(at + 16),
    };
  });
}
