/** Compiles a probe's source with deploy/build-bpf.sh into a folder of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { MusterError } from '../../shared/runtime/errors.ts';
import { findProgram } from './host.ts';

export interface Compiled {
  readonly object: string;
  readonly text: string;
  discard(): void;
}

/** `failed` makes the error of clang's words. */
export function compileProbe(
  root: string,
  source: string,
  failed: (file: string, text: string) => MusterError,
): Compiled {
  let text: string;
  try {
    text = readFileSync(source, 'utf8');
  } catch (cause) {
    throw new MusterError('bpf/compile', `read ${source}`, { cause, remedy: 'name a source file that can be read' });
  }
  for (const program of ['clang', 'llvm-strip']) {
    if (findProgram(program)) continue;
    throw new MusterError('role/no-program', `compile ${source}: ${program} is not installed`, {
      cause: `no ${program} in PATH`,
      remedy: 'apt-get install clang llvm libbpf-dev, or load an object compiled elsewhere',
    });
  }
  const folder = mkdtempSync(join(tmpdir(), 'muster-load-'));
  const discard = (): void => rmSync(folder, { recursive: true, force: true });
  const object = join(folder, basename(source).replace(/(\.bpf)?\.c$/, '.bpf.o'));
  // Beside its source, so that clang's words name the file as its author does.
  const run = spawnSync('bash', [join(root, 'deploy/build-bpf.sh'), basename(source), object], {
    cwd: dirname(source),
    encoding: 'utf8',
  });
  if (run.status === 0) return { object, text, discard };
  discard();
  throw failed(basename(source), run.error ? String(run.error) : run.stderr);
}
