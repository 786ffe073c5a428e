/** `muster agent` and its like: the service's own main program, with this terminal and these signals. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const forwarded = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Resolves with the exit code to pass on. */
export function runRole(nodeFlags: readonly string[], main: string, argv: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeFlags, main, ...argv], { stdio: 'inherit' });
    // A terminal sends Ctrl-C to the whole group; the child has it already, and a second one does no harm.
    for (const signal of forwarded) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 1)));
  });
}
