/**
 * stack: the number of a captured stack as its functions, outermost first, with semicolons between them; those of the
 * kernel have _[k] behind them: "main;work;do_syscall_64_[k]". A stack that could not be kept is number 0: "[unknown]".
 */
import type { Meaning } from './meaning.ts';
import { named } from './named.ts';

const byName = named('stack');

export const stack: Meaning = (label, context) => {
  const decode = byName(label, context);
  return (keys, at) => {
    const text = decode(keys, at);
    return text === '0' ? '[unknown]' : text;
  };
};
