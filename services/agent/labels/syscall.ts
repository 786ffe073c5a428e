/**
 * syscall: the number of a system call as its name. A call of a 32-bit program (the kernel side sets bit 31) is
 * "i386:NAME"; one of the x32 interface (bit 30) is "x32:NAME". A number without a name is "syscall_512".
 */
import { namesOf, readSmall, type Meaning } from './meaning.ts';
import { syscallsAarch64 } from './syscalls-aarch64.ts';
import { syscallsI386 } from './syscalls-i386.ts';
import { syscallsX8664 } from './syscalls-x86-64.ts';

const x86 = namesOf(syscallsX8664);
const i386 = namesOf(syscallsI386);
const aarch64 = namesOf(syscallsAarch64);

const compatBit = 0x80000000;
const x32Bit = 0x40000000;

export const syscall: Meaning = ({ offset, size }, { machine }) => {
  const native = machine === 'aarch64' ? aarch64 : machine === 'x86_64' ? x86 : new Map<number, string>();
  // The bits say an interface only in a word that is otherwise a small number: -1 is "no call", in any width.
  return (keys, at) => {
    const id = readSmall(keys, at + offset, size);
    const bits = id >>> 0;
    if (id > 0xffffffff || (id < 0 && (size === 8 || bits > 0x8000ffff))) return `syscall_${id}`;
    if (bits & compatBit) return `i386:${nameOf(i386, bits - compatBit)}`;
    if (machine === 'x86_64' && bits & x32Bit && id > 0) return `x32:${nameOf(x86, bits - x32Bit)}`;
    return nameOf(native, id);
  };
};

const nameOf = (names: ReadonlyMap<number, string>, id: number): string => names.get(id) ?? `syscall_${id}`;
