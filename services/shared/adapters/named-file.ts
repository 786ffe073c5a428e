/** Reads a file that somebody named. `what` says by what: "--ca /etc/ca.pem". Throws MusterError config/invalid. */
import { readFileSync } from 'node:fs';
import { MusterError } from '../runtime/errors.ts';

export function readNamedFile(what: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new MusterError('config/invalid', what, { cause, remedy: 'check path and permissions' });
  }
}
