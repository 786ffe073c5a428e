/**
 * stack: the number of a captured stack as its functions, outermost first, with semicolons between them; those of the
 * kernel have _[k] behind them: "main;work;do_syscall_64_[k]". A stack that could not be kept is number 0: "[unknown]".
 * One that nobody named is "[unnamed]", for its number would be a series that nobody can read, and there are many.
 */
import { readId, type Meaning } from './meaning.ts';
import { unsigned } from './number.ts';

export const stack: Meaning = (label, context) => {
  const { offset, size } = label;
  const { nameOf } = context;
  if (!nameOf || size > 8) return unsigned(label, context);
  return (keys, at) => {
    const id = readId(keys, at + offset, size);
    return id === 0n ? '[unknown]' : (nameOf('stack', id) ?? '[unnamed]');
  };
};
