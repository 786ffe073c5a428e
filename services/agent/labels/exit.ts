/**
 * exit: how a task ended, from its wait status: "0" … "255" by itself, "SIGSEGV" by a signal, "SIGSEGV+core" where it
 * left a core dump.
 */
import { namesOf, readSmall, type Meaning } from './meaning.ts';
import { signalNames } from './signal-names.ts';

const names = namesOf(signalNames);

export const exit: Meaning =
  ({ offset, size }) =>
  (keys, at) => {
    const status = readSmall(keys, at + offset, size);
    const signal = status & 0x7f;
    if (signal === 0) return String((status >> 8) & 0xff);
    const name = names.get(signal) ?? (signal >= 32 && signal <= 64 ? `SIGRT${signal}` : `signal_${signal}`);
    return (status & 0x80) !== 0 ? `${name}+core` : name;
  };
