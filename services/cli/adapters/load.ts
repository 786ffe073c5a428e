/** `muster load` and `muster unload`: files → the running keeper, and what it says of them. */
import { existsSync, realpathSync } from 'node:fs';
import { release } from 'node:os';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../shared/runtime/errors.ts';
import { refuseKernel } from '../../shared/runtime/kernel-features.ts';
import { compileProbe, type Compiled } from './compile-probe.ts';
import { findKeeper } from './find-keeper.ts';
import type { ReadFlags } from './flags.ts';
import { kernelReport } from './host-facts.ts';
import { askKeeper } from './keeper-request.ts';

type LoadParts = typeof import('../verbs/load.ts');

interface Place {
  readonly root: string;
  /** Folder that holds <service>/main.js. */
  readonly services: string;
  readonly format: 'table' | 'json';
  readonly out: (text: string) => void;
  readonly note: (text: string) => void;
}

const defaultServer = '127.0.0.1:50151';
/** A verifier may take its time over a large program. */
const loadMs = 60_000;
const unloadMs = 30_000;

/** Loads one after the other, and stops at the first that is refused. */
export async function load(parts: LoadParts, read: ReadFlags, place: Place): Promise<number> {
  const { options } = read;
  const rows = parts.rowsOf((options['rows'] as string[] | undefined) ?? []);
  const labels = parts.labelsOf((options['with'] as string[] | undefined) ?? []);
  const keeper = keeperOn(place.services, text(options['socket']), text(options['stateDir']));
  const operands = parts.probesOf(read.operands);
  const probes = operands.map(({ word }) => probeOf(word));
  for (const probe of labels.keys()) {
    if (probes.includes(probe)) continue;
    throw new MusterError('config/invalid', `--with ${probe}: this command loads no probe of that name`, {
      cause: `it loads ${probes.join(', ')}`,
      remedy: 'a probe is named like its file, without .bpf.c or .bpf.o',
    });
  }
  for (const { word, functions } of operands) {
    let compiled: Compiled | undefined;
    try {
      if (/\.c$/.test(word)) compiled = compileProbe(place.root, word, parts.compileError);
      const object = compiled?.object ?? objectOf(word);
      const source = compiled && { name: basename(word), text: compiled.text };
      const request = {
        op: 'load',
        object,
        rows,
        with: labels.get(probeOf(word)) ?? [],
        functions,
        ...(options['replace'] ? { replace: true } : {}),
      };
      const reply = await ask(keeper.socket, request, loadMs, (error) =>
        parts.refusalOf(`load ${word}`, error, source),
      );
      const server = keeper.listen ?? defaultServer;
      if (place.format === 'json') place.out(`${JSON.stringify({ ...reply, server }, null, 2)}\n`);
      else for (const line of parts.loadReport(reply, server)) place.out(`${line}\n`);
    } catch (error) {
      const log = error instanceof MusterError ? error.log : undefined;
      const wordy = error instanceof MusterError && (options['verbose'] || error.code === 'bpf/compile');
      if (log !== undefined && wordy) place.note(`${log}\n`);
      throw error;
    } finally {
      compiled?.discard();
    }
  }
  return 0;
}

/** Where no keeper runs, the kernel may be why: then that is the error. */
function keeperOn(services: string, ...which: Parameters<typeof findKeeper>): ReturnType<typeof findKeeper> {
  try {
    return findKeeper(...which);
  } catch (error) {
    const report = kernelReport(services);
    const refusal = 'features' in report ? refuseKernel(report.features, release()) : undefined;
    throw refusal ?? error;
  }
}

const probeOf = (word: string): string =>
  basename(word)
    .replace(/(\.bpf)?\.[co]$/, '')
    .replaceAll('-', '_');

/** A path as the keeper is to open it; a bare word is a built-in probe's name. */
function objectOf(word: string): string {
  if (!word.includes('/') && !word.endsWith('.o')) return word;
  if (existsSync(word)) return realpathSync(word);
  throw new MusterError('bpf/object', `load ${word}`, {
    cause: 'there is no such file',
    remedy: 'name an object (my.bpf.o), a source (my.bpf.c) or a built-in probe',
  });
}

export async function unload(parts: LoadParts, read: ReadFlags, place: Pick<Place, 'out' | 'note'>): Promise<number> {
  const probe = read.operands[0]!;
  if (!/^[a-z][a-z0-9_]*$/.test(probe)) {
    throw new MusterError('config/invalid', `unload ${probe}: no probe's name`, {
      cause: 'a probe is named like its file, without .bpf.o',
      remedy: 'see `muster hosts`',
    });
  }
  const { socket } = findKeeper(text(read.options['socket']), text(read.options['stateDir']));
  const refused = (error: unknown): MusterError => parts.refusalOf(`unload ${probe}`, error);
  const reply = await ask(socket, { op: 'unload', probe }, unloadMs, refused);
  const ended = reply['unloaded'] as { uuid: string }[];
  const pinned = async (): Promise<boolean> => {
    const { lineages } = (await ask(socket, { op: 'status' }, unloadMs, refused)) as { lineages?: { uuid: string }[] };
    return lineages?.some((l) => ended.some(({ uuid }) => uuid === l.uuid)) ?? false;
  };
  const end = performance.now() + unloadMs;
  while (performance.now() < end && (await pinned())) await sleep(250);
  place.out(`${probe}: detached; what it counted stays in every answer\n`);
  place.note(
    (await pinned())
      ? 'its last counts are not stored yet: the agent goes on until they are, then its maps leave the kernel\n'
      : 'its last counts are stored, and its maps have left the kernel\n',
  );
  return 0;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** A refusal becomes the error that `refused` makes of it. */
function ask(
  socket: string,
  request: { readonly op: string; readonly [field: string]: unknown },
  withinMs: number,
  refused: (error: unknown) => MusterError,
): Promise<Readonly<Record<string, unknown>>> {
  return askKeeper(socket, request, withinMs).catch((error: unknown) => {
    if (!(error instanceof MusterError)) throw error;
    if (error.code === 'keeper/refused') throw refused(error.cause);
    throw new MusterError('keeper/unreachable', `ask the keeper at ${socket}`, {
      cause: error.cause,
      remedy: 'is `muster up` running, and are you root? Another keeper: --socket PATH',
    });
  });
}
