/**
 * cmdline: a process id as the command line of the process, which may hold secrets: only where it is asked for. One that
 * is gone, or has none (kernel threads), is shown as a process.
 */
import { readId, type Meaning } from './meaning.ts';
import { process } from './process.ts';

export const cmdline: Meaning = (label, context) => {
  const plain = process(label, context);
  return (keys, at) => context.nameOf?.('cmdline', readId(keys, at + label.offset, label.size)) ?? plain(keys, at);
};
