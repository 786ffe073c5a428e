/**
 * The loader's edge: settings → read objects → lock the pin root → bring each probe up → exit, or stay as the keeper.
 * The only privileged process of Muster, and one without any network. Prints one ready line of JSON on stdout.
 */
import { realpathSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { libbpf, possibleCpus } from '../shared/adapters/libbpf.ts';
import { bpfRefused, kernelFeatures } from '../shared/adapters/libbpf-features.ts';
import { preloadForeign } from '../shared/adapters/libc.ts';
import { createLog, logLevels } from '../shared/adapters/pino-log.ts';
import { failRole, onceTold } from '../shared/adapters/role-process.ts';
import { roleSettings } from '../shared/adapters/role-settings.ts';
import { MusterError } from '../shared/runtime/errors.ts';
import { refuseKernel, type KernelReport } from '../shared/runtime/kernel-features.ts';
import type { Log } from '../shared/runtime/log.ts';
import type { Settings, ValuesOf } from '../shared/runtime/settings.ts';
import { roleHelp } from '../shared/runtime/settings.ts';
import {
  cgroupV1,
  kernelRelease,
  readProbe,
  requireKernelTypes,
  requirePrivilege,
  resolveScope,
} from './adapters/host.ts';
import { Keeper, missingOf, type FailedProbe } from './adapters/libbpf-keeper.ts';
import { LibbpfProbeKernel } from './adapters/libbpf-probe-kernel.ts';
import { PinRoot } from './adapters/pin-root.ts';
import { listen } from './adapters/unix-keeper-socket.ts';
import type { KeeperSocket } from './adapters/unix-keeper-socket.ts';
import { lineBytesMax, formatError, replyTo } from './keeper/protocol.ts';
import { billBytes } from './load/bill.ts';
import { defaultHz, hz } from './load/clock.ts';
import type { Live } from './load/clash.ts';
import { parseFunction, splitFunctions, type FunctionTarget } from './load/functions.ts';
import { fit, parseBytes } from './load/fit.ts';
import type { LoadedLineage } from './load/probe-kernel.ts';
import { ownerLabels, parseWith } from './load/owner.ts';
import { checkRowNames, parseRows, want } from './load/wanted.ts';
import { admit, bringUp, type HostLimits } from './loader.ts';
import { kernelEnum } from './object/kernel-btf.ts';
import { readObject } from './object/object.ts';
import type { ObjectSpec } from './object/object.ts';
import { readStack, stackBytes, stackText } from './object/stack.ts';

const flag = z.enum(['true', 'false']).transform((v) => v === 'true');
const settings = {
  probes: {
    schema: z
      .string()
      .transform((v) => v.split(',').filter((p) => p !== ''))
      .refine((v) => v.length > 0, 'names no probe'),
    help: 'probes to load: built-in ones, paths of .bpf.o files, functions:/BINARY:SYMBOL',
    value: 'A,B',
    fallback: 'syscalls,runqueue',
  },
  pinRoot: {
    schema: z.string().startsWith('/'),
    help: 'directory on bpffs for the pins',
    value: 'DIR',
    fallback: '/sys/fs/bpf/muster',
  },
  objects: {
    schema: z.string().optional(),
    help: 'folder of the built-in objects (default build/bpf of this installation)',
    value: 'DIR',
  },
  scope: { schema: z.string().optional(), help: 'count this cgroup subtree only', value: 'cgroup=PATH' },
  rows: {
    schema: z.array(z.string()),
    help: 'rows of a table, instead of its own number',
    value: 'TABLE=N',
    repeat: true,
  },
  with: {
    schema: z.array(z.string()),
    help: `opt-in labels of a probe's events: ${ownerLabels.join(', ')}`,
    value: 'PROBE=LABEL,…',
    repeat: true,
  },
  profileHz: { schema: hz, help: 'samples a second and CPU of cpu_profile', value: 'N', fallback: String(defaultHz) },
  memoryBudget: {
    schema: z.string().transform((v, context) => {
      const bytes = parseBytes(v);
      if (bytes === undefined) context.addIssue({ code: 'custom', message: 'not a size such as 64MiB' });
      return bytes ?? 0;
    }),
    help: 'kernel memory that the maps of all probes may take together',
    value: 'SIZE',
    fallback: '256MiB',
  },
  gid: {
    schema: z.coerce.number().int().nonnegative(),
    help: 'group that may read the pins and ask the keeper',
    value: 'N',
    fallback: '0',
  },
  socket: { schema: z.string().optional(), help: 'Unix socket to answer on, with --keep', value: 'PATH' },
  keep: { schema: flag, help: 'stay and answer requests, instead of exiting when all is pinned', fallback: 'false' },
  logLevel: { schema: z.enum(logLevels), help: `one of ${logLevels.join(', ')}`, value: 'LEVEL', fallback: 'info' },
  features: { schema: flag, help: 'print what this kernel has of what Muster needs, and exit', fallback: 'false' },
  help: { schema: flag, help: 'show this text', fallback: 'false' },
} satisfies Settings;

const usage = roleHelp(
  'loader',
  'loads probes into the kernel, pins them, and exits; or stays as the keeper of the pins',
  settings,
  [
    'muster loader --probes syscalls',
    'muster loader --probes ./my_probe.bpf.o --rows my_table=65536 --keep --socket /run/muster/keeper.sock',
  ],
);

async function main(): Promise<number> {
  const { values } = roleSettings('loader', settings);
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const log = createLog(values.logLevel, { role: 'loader', pid: process.pid });
  requirePrivilege();
  requireKernelTypes();
  preloadForeign();
  libbpf();
  const features = kernelFeatures();
  if (values.features) {
    process.stdout.write(`${JSON.stringify({ features, agentNeedsBpf: agentNeedsBpf() } satisfies KernelReport)}\n`);
    return 0;
  }
  const refusal = refuseKernel(features, kernelRelease());
  if (refusal) throw refusal;
  const root = PinRoot.acquire(values.pinRoot, values.gid);
  const kernel = new LibbpfProbeKernel(root);
  const objects = values.objects ?? defaultObjects();
  const host = {
    cpus: possibleCpus(),
    scope: resolveScope(values.scope),
    budgetBytes: values.memoryBudget,
    profileHz: values.profileHz,
    cgroupV1: cgroupV1(() => kernelEnum(kernel.types(), 'cgroup_subsys_id')),
  };
  const { loaded, failed } = bringUpAll(kernel, objects, host, values, log);
  const keeper = (): Keeper =>
    new Keeper(
      root,
      [...loaded],
      failed,
      ({ object, rows, replace, with: labels, functions = [] }) =>
        admit(
          kernel,
          readProbe(object, objects, false),
          host,
          liveProbes(root),
          {
            rows: new Map(Object.entries(rows ?? {})),
            replace: replace ?? false,
            labels: labels ?? [],
            functions: functions.map(parseFunction),
          },
          log,
        ),
      log,
      { stackBytes, readStack, stackText },
    );
  root.writeMissing(missingOf(failed));
  if (values.keep) return keep(keeper(), values, { loaded, failed }, log);
  ready(loaded, failed);
  return 0;
}

/** Tried as a nobody without capabilities; undefined where this process cannot become one. */
function agentNeedsBpf(): boolean | undefined {
  const nobody = 65534;
  if (process.getuid!() !== 0) return undefined;
  try {
    process.setgroups!([]);
    process.setgid!(nobody);
    process.setuid!(nobody);
  } catch {
    return undefined;
  }
  return bpfRefused();
}

/** One probe's failure stops no other; when all fail, the first failure is the loader's. */
function bringUpAll(
  kernel: LibbpfProbeKernel,
  objects: string,
  { cpus, scope, budgetBytes, cgroupV1 = 0, profileHz = defaultHz }: HostLimits,
  values: ValuesOf<typeof settings>,
  log: Log,
): { loaded: LoadedLineage[]; failed: FailedProbe[] } {
  const rows = parseRows(values.rows);
  const labels = parseWith(values.with);
  const loaded: LoadedLineage[] = [];
  const errors: MusterError[] = [];
  const failed: FailedProbe[] = [];
  const attempt = (probe: string, act: () => void): void => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof MusterError)) throw error;
      errors.push(error);
      failed.push({ probe, code: error.code, message: error.message, reason: error.what });
      log.error(
        { probe, code: error.code, fix: error.remedy, ...(error.log ? { verifierLog: error.log } : {}) },
        error.message,
      );
    }
  };
  const specs: { probe: string; bytes: Uint8Array; spec: ObjectSpec; functions: FunctionTarget[] }[] = [];
  const { probes, functions } = splitFunctions(values.probes);
  for (const word of probes) {
    attempt(word, () => {
      const { probe, bytes } = readProbe(word, objects);
      if (specs.some((s) => s.probe === probe))
        throw new MusterError('config/invalid', `--probes: ${probe} is named twice`);
      specs.push({ probe, bytes, spec: readObject(bytes), functions: functions.get(word) ?? [] });
    });
  }
  if (errors.length === 0)
    checkRowNames(
      rows,
      specs.map((s) => s.spec),
    );
  for (const probe of labels.keys()) {
    if (errors.length > 0 || specs.some((s) => s.probe === probe)) continue;
    throw new MusterError('config/invalid', `--with ${probe}: no probe of this name is loaded`, {
      remedy: `probes: ${specs.map((s) => s.probe).join(', ')}`,
    });
  }
  // Sized as if alone, whatever was loaded since: else a restart would give other sizes, and end what counts.
  const { fitted, refused } = fit(
    specs.map(({ probe, spec }) => ({ probe, spec, rows })),
    cpus,
    budgetBytes,
  );
  for (const { probe, bytes, spec, functions } of specs) {
    attempt(probe, () => {
      const chosen = fitted.get(probe);
      if (!chosen) throw refused.get(probe)!;
      for (const shrunk of chosen.shrunk) log.warn({ probe, ...shrunk, cpus }, 'table sized down to the memory budget');
      const options = { shrunk: chosen.shrunk, labels: labels.get(probe) ?? [], cgroupV1, functions, profileHz };
      loaded.push(bringUp(kernel, want(probe, spec, cpus, scope, chosen.rows, options), bytes, log));
    });
  }
  if (loaded.length === 0) throw errors[0]!;
  return { loaded, failed };
}

/** What counts now, with its bill: as written down when it was loaded. */
const liveProbes = (root: PinRoot): Live[] =>
  root.probes().flatMap((probe) =>
    root.lineages(probe).flatMap(({ uuid, meta, linked }) => {
      if (linked.length === 0 || !meta) return [];
      const { tables, cpus, declaredRows = {} } = meta;
      return [{ probe, uuid, tables, declaredRows, billBytes: meta.billBytes ?? billBytes(tables, cpus) }];
    }),
  );

/** Stays until it is told to end; pins outlive it unless the socket's `remove` was asked for. */
async function keep(
  keeper: Keeper,
  values: ValuesOf<typeof settings>,
  result: { loaded: LoadedLineage[]; failed: FailedProbe[] },
  log: Log,
): Promise<number> {
  let socket: KeeperSocket | undefined;
  const told = new Promise<string>((resolve) => onceTold(process.env['MUSTER_STDIN_LIFELINE'] === '1', resolve));
  // Without a socket there is still something to wait for: a timer keeps the process alive.
  const alive = setInterval(() => undefined, 60_000);
  if (values.socket !== undefined) {
    socket = await listen(values.socket, values.gid, {
      lineBytesMax,
      reply: (line, uid) => replyTo(line, uid, process.getuid!(), (request) => keeper.answer(request)),
      refusal: (what) => formatError(null, new MusterError('keeper/refused', what)),
    });
  }
  ready(result.loaded, result.failed);
  log.info({ because: await told }, 'keeper ends; what is pinned goes on counting');
  clearInterval(alive);
  await socket?.close();
  return 0;
}

function ready(lineages: readonly LoadedLineage[], failed: readonly FailedProbe[]): void {
  const billBytes = lineages.reduce((sum, l) => sum + l.billBytes, 0);
  process.stdout.write(`${JSON.stringify({ ready: 'loader', lineages, failed, billBytes })}\n`);
}

/** build/bpf of the installation, from the sources as well as from dist/. */
function defaultObjects(): string {
  const here = realpathSync(fileURLToPath(new URL('.', import.meta.url)));
  return `${here.replace(/(\/dist)?\/services\/loader\/?$/, '')}/build/bpf`;
}

main().then((status) => process.exit(status), failRole);
