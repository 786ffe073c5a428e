/**
 * Reads an object file that somebody named to a process of root: a regular file of bounded size, opened without
 * waiting (a FIFO must not stop the keeper) and without following a link at its end.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { MusterError, describeCause } from '../../shared/runtime/errors.ts';

export const objectBytesMax = 16 << 20;

/** Throws MusterError bpf/object; `links` true for paths of the operator's own command line. */
export function readObjectFile(path: string, links: boolean): Uint8Array {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | (links ? 0 : constants.O_NOFOLLOW));
  } catch (cause) {
    throw refuse(path, cause, 'name an object file that exists and can be read');
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw refuse(path, 'it is no regular file', 'name a compiled object, e.g. my_probe.bpf.o');
    if (found.size > objectBytesMax) {
      throw refuse(path, `it has ${found.size} bytes, at most ${objectBytesMax} are read`, 'name a compiled object');
    }
    const bytes = Buffer.alloc(found.size);
    let length = 0;
    while (length < bytes.length) {
      const got = readSync(fd, bytes, length, bytes.length - length, length);
      if (got === 0) break;
      length += got;
    }
    return bytes.subarray(0, length);
  } catch (cause) {
    if (cause instanceof MusterError) throw cause;
    throw refuse(path, cause, 'name an object file that can be read');
  } finally {
    closeSync(fd);
  }
}

const refuse = (path: string, cause: unknown, remedy: string): MusterError =>
  new MusterError('bpf/object', `read object ${path}: ${describeCause(cause)}`, { cause, remedy });
