/**
 * process: a process id as "nginx[812]", by the name of its first thread. One that is gone before it could be looked up
 * keeps the name that the kernel captured in the same key, if there is one; else it is its number alone.
 */
import { readId, type Meaning } from './meaning.ts';

export const process: Meaning =
  ({ offset, size }, { nameOf, comm }) =>
  (keys, at) => {
    const id = readId(keys, at + offset, size);
    const name = nameOf?.('process', id) ?? comm?.(keys, at);
    return name === undefined ? String(id) : `${name}[${id}]`;
  };
