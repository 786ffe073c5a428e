/**
 * The loader: brings one probe up, by adopting the lineage that is pinned for it or by starting a new one. Decides and
 * orders; the kernel is behind a port. Whatever can fail by the probe's own fault fails before anything that runs is
 * touched, and a new lineage's programs are attached only after the old one's are detached: no event is counted by both.
 */
import type { TableSchema } from '../shared/contract/lineage.ts';
import { MusterError } from '../shared/runtime/errors.ts';
import type { Log } from '../shared/runtime/log.ts';
import { choose, mismatch } from './load/choose.ts';
import { checkTableNames, type Live } from './load/clash.ts';
import { defaultHz } from './load/clock.ts';
import { fit, type Shrunk } from './load/fit.ts';
import type { FunctionTarget } from './load/functions.ts';
import { skipsCounted } from './load/hooks.ts';
import { withKernelNames } from './load/kernel-names.ts';
import type { LoadedLineage, ProbeKernel, ProgramState } from './load/probe-kernel.ts';
import { checkRowNames, want, type Scope, type Wanted } from './load/wanted.ts';
import { kernelEnum, kernelStructHas } from './object/kernel-btf.ts';
import { readObject } from './object/object.ts';

/** What a host allows all its probes together. */
export interface HostLimits {
  readonly cpus: number;
  readonly scope: Scope;
  readonly budgetBytes: number;
  /** See Wanted's options: which hierarchy names cgroups. */
  readonly cgroupV1?: number;
  /** Likewise: how often a CPU's clock runs programs. */
  readonly profileHz?: number;
}

export interface Admitted {
  readonly lineage: LoadedLineage;
  readonly tables: readonly TableSchema[];
  readonly shrunk: readonly Shrunk[];
  /** All probes that count now, this one included. */
  readonly usedBytes: number;
  readonly budgetBytes: number;
}

/**
 * Loads a probe beside those that count (`live`). Throws, with all of them untouched, when its object is not one, does
 * not fit, or would take a name that is in use; `replace` lets it take the place of the probe of its own name.
 */
export function admit(
  kernel: ProbeKernel,
  object: { readonly probe: string; readonly bytes: Uint8Array },
  host: HostLimits,
  live: readonly Live[],
  options: {
    readonly rows: ReadonlyMap<string, number>;
    readonly replace: boolean;
    /** Opt-in labels. */
    readonly labels?: readonly string[];
    readonly functions?: readonly FunctionTarget[];
  },
  log: Log,
): Admitted {
  const { probe, bytes } = object;
  const spec = readObject(bytes);
  checkRowNames(options.rows, [spec]);
  checkTableNames(probe, spec.tables, live);
  const before = live.find((l) => l.probe === probe);
  const { rows } = options;
  const kept = new Map<string, number>();
  for (const { name, rows: declared } of spec.tables) {
    // What was sized down when it was loaded stays as it is: the room there is by now must not end its lineage.
    const now = before?.tables.find((t) => t.name === name)?.rows;
    if (now !== undefined && !rows.has(name) && before?.declaredRows[name] === declared) kept.set(name, now);
  }
  const usedByOthers = live.reduce((sum, l) => (l.probe === probe ? sum : sum + l.billBytes), 0);
  const { fitted, refused } = fit(
    [{ probe, spec, rows: new Map([...kept, ...rows]) }],
    host.cpus,
    host.budgetBytes - usedByOthers,
  );
  const chosen = fitted.get(probe);
  if (!chosen) throw refused.get(probe)!;
  const { tables } = spec;
  const shrunk = [
    ...chosen.shrunk,
    ...[...kept].map(([table, now]) => ({ table, rows: now, declared: tables.find((t) => t.name === table)!.rows })),
  ];
  const { labels = [], functions = [] } = options;
  const { cgroupV1 = 0, profileHz = defaultHz } = host;
  const wanted = want(probe, spec, host.cpus, host.scope, chosen.rows, {
    shrunk,
    labels,
    cgroupV1,
    functions,
    profileHz,
  });
  const lineage = bringUp(kernel, wanted, bytes, log, options);
  const usedBytes = usedByOthers + lineage.billBytes;
  return { lineage, tables: wanted.tables, shrunk, usedBytes, budgetBytes: host.budgetBytes };
}

/** `replace` false: a lineage that counts and cannot be continued is left alone, and the probe refused. */
export function bringUp(
  kernel: ProbeKernel,
  asked: Wanted,
  bytes: Uint8Array,
  log: Log,
  { replace }: { readonly replace: boolean } = { replace: true },
): LoadedLineage {
  const wanted = { ...asked, tables: withKernelNames(asked.tables, (name) => kernelEnum(kernel.types(), name)) };
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
  if (!replace && choice.end.length > 0) {
    throw new MusterError('bpf/clash', `probe ${probe}: one of this name counts now, from another object`, {
      cause: choice.because,
      remedy: `\`muster unload ${probe}\` first, give --replace, or give the file another name`,
    });
  }
  const { uuid, dir, missing } = kernel.start(wanted, bytes, choice.end, (hook) =>
    skipsCounted(hook, (...members) => kernelStructHas(kernel.types(), ...members)),
  );
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
