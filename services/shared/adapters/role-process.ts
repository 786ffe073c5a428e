/** What every role's process does alike: it ends once, on a signal or with its parent, and says why when it cannot go on. */
import process from 'node:process';
import { describeCause, MusterError } from '../runtime/errors.ts';

/**
 * Calls `stop` once, with the reason: SIGTERM, SIGINT, or, with a lifeline, the end of stdin, which a parent that dies
 * leaves behind. A stop that fails ends the process through `failRole`.
 */
export function onceTold(lifeline: boolean, stop: (why: string) => void | Promise<void>): void {
  let told = false;
  const tell = (why: string): void => {
    if (told) return;
    told = true;
    Promise.resolve(stop(why)).catch(failRole);
  };
  process.on('SIGTERM', () => tell('SIGTERM'));
  process.on('SIGINT', () => tell('SIGINT'));
  if (!lifeline) return;
  process.stdin.on('end', () => tell('parent ended'));
  process.stdin.on('error', () => tell('parent ended'));
  process.stdin.resume();
}

/** Ends the process: three lines and 1 (2 for bad usage) for an operational error, the whole trace for a bug. */
export function failRole(cause: unknown): never {
  if (cause instanceof MusterError) {
    if (cause.log) process.stderr.write(`${cause.log}\n`);
    process.stderr.write(`${cause.threeLines}\n`);
    process.exit(cause.code === 'config/invalid' ? 2 : 1);
  }
  process.stderr.write(`${cause instanceof Error ? cause.stack : describeCause(cause)}\n`);
  process.exit(1);
}
