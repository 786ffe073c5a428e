/**
 * The loader: brings one probe up, by adopting the lineage that is pinned for it or by starting a new one. Decides and
 * orders; the kernel is behind a port. Whatever can fail by the probe's own fault fails before anything that runs is
 * touched, and a new lineage's programs are attached only after the old one's are detached: no event is counted by both.
 */
import type { Log } from '../shared/runtime/log.ts';
import { choose, mismatch } from './load/choose.ts';
import { skipsCounted } from './load/hooks.ts';
import type { LoadedLineage, ProbeKernel, ProgramState } from './load/probe-kernel.ts';
import type { Wanted } from './load/wanted.ts';

export function bringUp(kernel: ProbeKernel, wanted: Wanted, bytes: Uint8Array, log: Log): LoadedLineage {
  const { probe, billBytes } = wanted;
  const pinned = kernel.lineages(probe);
  // Tags cost a load: only where they decide.
  const comparable = pinned.some((p) => p.linked.length > 0 && mismatch(p, wanted, kernel.bootId) === undefined);
  const trial = comparable ? kernel.tryLoad(wanted, bytes) : undefined;
  const choice = choose(pinned, wanted, kernel.bootId, trial?.tags);
  if (choice.kind === 'adopt') {
    for (const uuid of choice.end) kernel.end(probe, uuid);
    const dir = kernel.adopt(probe, choice.uuid);
    log.info({ probe, uuid: choice.uuid, dir, billBytes, ended: choice.end }, 'lineage adopted');
    return { probe, uuid: choice.uuid, dir, adopted: true, programs: states(wanted, trial!.missing), billBytes };
  }
  const { uuid, dir, missing } = kernel.start(wanted, bytes, choice.end, (hook) => skipsCounted(hook, kernel.release));
  const tables = Object.fromEntries(wanted.tables.map((t) => [t.name, t.rows]));
  log.info(
    { probe, uuid, dir, billBytes, rows: tables, because: choice.because, ended: choice.end },
    'lineage started',
  );
  return { probe, uuid, dir, adopted: false, programs: states(wanted, missing), billBytes };
}

const states = (wanted: Wanted, missing: ReadonlyMap<string, string>): ProgramState[] =>
  wanted.programs.map(({ name, hook }) => {
    const reason = missing.get(name);
    return reason === undefined ? { name, hook, state: 'attached' } : { name, hook, state: 'missing', reason };
  });
