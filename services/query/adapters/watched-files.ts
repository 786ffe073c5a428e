/**
 * Files that are read again when they change: certificates, keys, access rules. What cannot be used is said once and
 * the last good content stays in force, so that a half-written renewal closes no door and opens none.
 */
import { readNamedFile } from '../../shared/adapters/named-file.ts';
import { describeCause } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';

/** How often the files are compared: few, small, and read through the page cache. */
const lookEveryMs = 2000;

export interface WatchedFiles<T> {
  readonly value: T;
  close(): void;
}

/** Reads each path and makes a value of the contents; throws MusterError config/invalid when the first try fails. */
export function watchFiles<T>(
  paths: readonly string[],
  make: (contents: Buffer[]) => T,
  log: Log,
  onChange: (value: T) => void = () => undefined,
): WatchedFiles<T> {
  let contents = paths.map(read);
  let value = make(contents);
  let said = '';
  const look = (): void => {
    try {
      const now = paths.map(read);
      if (now.every((c, i) => c.equals(contents[i]!))) return;
      const made = make(now);
      [contents, value, said] = [now, made, ''];
      log.info({ files: paths }, 'read again');
      onChange(value);
    } catch (cause) {
      const reason = describeCause(cause);
      if (reason !== said) log.error({ files: paths, reason }, 'cannot be used: what was read before stays in force');
      said = reason;
    }
  };
  const timer = setInterval(look, lookEveryMs).unref();
  return {
    get value() {
      return value;
    },
    close: () => clearInterval(timer),
  };
}

const read = (path: string): Buffer => readNamedFile(`read ${path}`, path);
