/**
 * The keeper's answers: what only the privileged may do (keeper/protocol.ts), done on the pins. It holds no count and
 * no descriptor: killed, its programs go on counting, and the next loader adopts them.
 */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { enableStatistics, getPinned, programInfo } from '../../shared/adapters/libbpf.ts';
import { createPinnedTables } from '../../shared/adapters/libbpf-pinned-tables.ts';
import type { Missing } from '../../shared/contract/lineage.ts';
import { stacksPin } from '../../shared/contract/table-maps.ts';
import { unreachable } from '../../shared/runtime/assert.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import { nearest } from '../../shared/runtime/settings.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { Request } from '../keeper/protocol.ts';
import type { LoadedLineage, ProgramState } from '../load/probe-kernel.ts';
import type { PinRoot } from './pin-root.ts';
import { StackNames, type StackFormat } from './stack-names.ts';
import { Symbols } from './symbols.ts';

/** A probe that could not be loaded. */
export interface FailedProbe {
  readonly probe: string;
  readonly code: string;
  readonly message: string;
  /** Without the remedy. */
  readonly reason: string;
}

/** As the agent is told. */
export const missingOf = (failed: readonly FailedProbe[]): Missing[] =>
  failed.map(({ probe, reason }) => ({ probe, program: '', hook: '', reason }));

interface LineageStatus {
  readonly probe: string;
  readonly uuid: string;
  readonly dir: string;
  /** False when its programs are detached: its maps wait for the agent to finish with them. */
  readonly counting: boolean;
  readonly programs: readonly ProgramState[];
}

interface ProgramRuns {
  readonly probe: string;
  readonly uuid: string;
  readonly program: string;
  readonly runs: bigint;
  readonly runTimeNs: bigint;
}

type LoadRequest = Extract<Request, { op: 'load' }>;

export class Keeper {
  private readonly symbols = new Symbols();
  private readonly stackNames: StackNames;

  /** `admit` reads, checks and loads one probe beside those that count; it throws with all of them untouched. */
  constructor(
    private readonly root: PinRoot,
    private readonly loaded: LoadedLineage[],
    private failed: readonly FailedProbe[],
    private readonly admit: (request: LoadRequest) => { readonly lineage: LoadedLineage },
    private readonly log: Log,
    stackFormat: StackFormat,
  ) {
    this.stackNames = new StackNames(this.symbols, stackFormat);
    // Detached, and then its keeper was killed: nothing counts there again, and only this tells the agent.
    for (const probe of root.probes())
      for (const { uuid, linked } of root.lineages(probe))
        if (linked.length === 0) root.markEnded(root.directory(probe, uuid));
  }

  async answer(request: Request): Promise<object> {
    switch (request.op) {
      case 'status':
        return { lineages: this.status(), failed: this.failed };
      case 'load':
        return this.load(request);
      case 'unload':
        return this.unload(request.probe);
      case 'detach':
        return { detached: await this.detach(request.probe) };
      case 'remove':
        return this.remove();
      case 'retire':
        return this.retire(request.probe, request.uuid);
      case 'statistics':
        return { seconds: request.seconds, ...(await this.statistics(request.seconds)) };
      case 'stacks': {
        const { probe, uuid, ids } = request;
        const path = join(this.root.directory(probe, uuid), stacksPin);
        return { stacks: this.stackNames.texts(path, ids, performance.now()) };
      }
      case 'symbols':
        return {
          symbols:
            request.kind === 'kernel'
              ? this.symbols.kernelNames(request.addresses, performance.now())
              : this.symbols.userNames(request.pid, request.addresses),
        };
      default:
        return unreachable(request);
    }
  }

  private status(): LineageStatus[] {
    return this.root.probes().flatMap((probe) =>
      this.root.lineages(probe).map(({ uuid, meta, linked }) => {
        const own = this.loaded.find((l) => l.uuid === uuid);
        const programs =
          own?.programs ??
          meta?.programs.map(({ name, hook }): ProgramState => ({ name, hook, state: 'attached' })) ??
          [];
        return {
          probe,
          uuid,
          dir: this.root.directory(probe, uuid),
          counting: linked.length > 0,
          programs: programs.map((p) =>
            p.state === 'attached' && !linked.includes(p.name)
              ? { ...p, state: 'missing' as const, reason: 'detached' }
              : p,
          ),
        };
      }),
    );
  }

  private load(request: LoadRequest): object {
    const admitted = this.admit(request);
    const { probe } = admitted.lineage;
    this.loaded.splice(0, this.loaded.length, ...this.loaded.filter((l) => l.probe !== probe), admitted.lineage);
    if (this.failed.some((f) => f.probe === probe)) {
      this.failed = this.failed.filter((f) => f.probe !== probe);
      this.root.writeMissing(missingOf(this.failed));
    }
    // What it took the place of.
    for (const { uuid, linked } of this.root.lineages(probe))
      if (linked.length === 0) this.root.markEnded(this.root.directory(probe, uuid));
    return admitted;
  }

  /** Its programs end; its maps stay until the agent has brought the rest to safety, and asks to retire them. */
  private async unload(probe: string): Promise<object> {
    const counting = this.root.lineages(probe).filter((l) => l.linked.length > 0);
    if (counting.length === 0) {
      const live = this.root.probes().filter((p) => this.root.lineages(p).some((l) => l.linked.length > 0));
      const close = nearest(probe, live);
      throw new MusterError('keeper/refused', `probe ${probe}: none of this name counts here`, {
        cause: live.length > 0 ? `probes that count: ${live.join(', ')}` : 'no probe counts here',
        remedy: close ? `did you mean ${close}?` : 'see `muster hosts`',
      });
    }
    const detached = await this.detach(probe);
    for (const { uuid } of counting) this.root.markEnded(this.root.directory(probe, uuid));
    return { unloaded: detached };
  }

  /** Returns when no program can add to any of the tables any more. */
  private async detach(only: string | undefined): Promise<{ probe: string; uuid: string; programs: string[] }[]> {
    const detached = this.root
      .probes()
      .filter((probe) => only === undefined || probe === only)
      .flatMap((probe) =>
        this.root
          .lineages(probe)
          .map(({ uuid }) => ({ probe, uuid, programs: this.root.detach(this.root.directory(probe, uuid)) })),
      )
      .filter((d) => d.programs.length > 0);
    if (detached.length > 0) await createPinnedTables(this.root.path).gracePeriod();
    this.log.info({ detached }, 'detached');
    return detached;
  }

  private remove(): object {
    this.root.removeAll();
    this.log.info({ pinRoot: this.root.path }, 'pins removed');
    return {};
  }

  private retire(probe: string, uuid: string): object {
    const found = this.root.lineages(probe).find((l) => l.uuid === uuid);
    if (!found) return { removed: false };
    if (found.linked.length > 0) {
      throw new MusterError('keeper/refused', `retire ${probe}/${uuid}: it still counts`, {
        remedy: 'detach it first',
      });
    }
    this.root.remove(this.root.directory(probe, uuid));
    this.log.info({ probe, uuid }, 'lineage retired');
    return { removed: true };
  }

  /** Runs and ns of each program during a period in which the kernel times them, and its real length; decimal strings. */
  private async statistics(seconds: number): Promise<{ elapsedNs: string; programs: object[] }> {
    const period = enableStatistics();
    try {
      const before = this.runs();
      const startNs = process.hrtime.bigint();
      await sleep(seconds * 1000);
      const after = this.runs();
      const elapsedNs = String(process.hrtime.bigint() - startNs);
      const programs = after.flatMap(({ probe, uuid, program, runs, runTimeNs }) => {
        const first = before.find((b) => b.uuid === uuid && b.program === program);
        if (!first) return [];
        return [
          { probe, uuid, program, runs: String(runs - first.runs), runTimeNs: String(runTimeNs - first.runTimeNs) },
        ];
      });
      return { elapsedNs, programs };
    } finally {
      closeSync(period);
    }
  }

  private runs(): ProgramRuns[] {
    return this.root.probes().flatMap((probe) =>
      this.root.lineages(probe).flatMap(({ uuid, linked }) =>
        linked.flatMap((program) => {
          const fd = getPinned(join(this.root.directory(probe, uuid), `prog-${program}`));
          if (fd === undefined) return [];
          try {
            const { runs, runTimeNs } = programInfo(fd, `program ${program}`);
            return [{ probe, uuid, program, runs, runTimeNs }];
          } finally {
            closeSync(fd);
          }
        }),
      ),
    );
  }
}
