/** Finds the running `muster up`: each leaves a note of its addresses in its run directory. */
import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { MusterError } from '../../shared/runtime/errors.ts';

const noted = z.object({ pid: z.number(), stateDir: z.string(), listen: z.string(), socket: z.string() });
export type RunningUp = z.infer<typeof noted>;

const runRoot = '/run';
export const noteName = 'up.json';

function runningUps(): RunningUp[] {
  return readdirSync(runRoot)
    .filter((name) => name.startsWith('muster-'))
    .flatMap((name) => {
      try {
        const found = noted.parse(JSON.parse(readFileSync(join(runRoot, name, noteName), 'utf8')));
        return existsSync(found.socket) && existsSync(`/proc/${found.pid}`) ? [found] : [];
      } catch {
        return [];
      }
    });
}

/** Throws MusterError keeper/unreachable where none or several could be meant. */
export function findKeeper(
  socket: string | undefined,
  stateDir: string | undefined,
): Partial<RunningUp> & { socket: string } {
  const ups = runningUps();
  if (socket !== undefined) return ups.find((up) => up.socket === socket) ?? { socket: resolve(socket) };
  const wanted = stateDir !== undefined && existsSync(stateDir) ? realpathSync(stateDir) : stateDir;
  const fit = wanted === undefined ? ups : ups.filter((up) => up.stateDir === wanted);
  const standard = fit.find((up) => up.stateDir === '/var/lib/muster');
  const [only] = fit;
  if (only !== undefined && (fit.length === 1 || standard)) return standard ?? only;
  throw new MusterError('keeper/unreachable', 'find the keeper that is to do this', {
    cause:
      fit.length === 0
        ? `no muster up runs${wanted === undefined ? '' : ` on ${wanted}`}, as far as this user may see`
        : `several run: ${fit.map((up) => up.stateDir).join(', ')}`,
    remedy:
      fit.length === 0
        ? 'start it (sudo muster up), run this as root, or name a keeper with --socket PATH'
        : 'say which with --state-dir DIR',
  });
}
