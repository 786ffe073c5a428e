/** signal: "SIGKILL"; real-time signals count from the kernel's first, 32: "SIGRT32" … "SIGRT64". */
import { namesOf, readSmall, type Meaning } from './meaning.ts';
import { signalNames } from './signal-names.ts';

const names = namesOf(signalNames);

export const signal: Meaning =
  ({ offset, size }) =>
  (keys, at) => {
    const number = readSmall(keys, at + offset, size);
    return names.get(number) ?? (number >= 32 && number <= 64 ? `SIGRT${number}` : String(number));
  };
