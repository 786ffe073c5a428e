/**
 * stack: the number of a captured stack as its frames, outermost first, with semicolons between them: "main;work;read".
 * Kernel frames follow with _[k] at their end. A frame without a symbol is file+0xoffset.
 */
import { named } from './named.ts';

export const stack = named('stack');
