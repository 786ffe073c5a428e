/**
 * The loader of one simulated host: the real decision (adopt, start anew, end what cannot be continued) over pins that
 * exist in memory. It can be killed at any call; links live as long as their pins, so what was attached counts on.
 */
import { bringUp } from '../../services/loader/loader.ts';
import type { Pinned } from '../../services/loader/load/choose.ts';
import type { ProbeKernel } from '../../services/loader/load/probe-kernel.ts';
import type { Wanted } from '../../services/loader/load/wanted.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import type { Program, SimHost } from './host.ts';
import type { SimLineage } from './pins.ts';

const nothing = new Uint8Array(0);

/** Brings a program up; `gate` throws where the loader is killed. */
export function load(host: SimHost, program: Program, gate: (call: string) => void): void {
  bringUp(kernelOf(host, program, gate), wantedOf(host, program), nothing, silentLog);
}

function kernelOf(host: SimHost, program: Program, gate: (call: string) => void): ProbeKernel {
  const pinned = (): SimLineage[] => [...host.lineages.values()];
  const find = (uuid: string): SimLineage => pinned().find((l) => l.uuid === uuid)!;
  return {
    bootId: host.bootId,
    types: () => nothing,
    lineages(probe) {
      gate('lineages');
      return pinned()
        .filter((l) => l.model.probe === probe)
        .map((l): Pinned => ({ uuid: l.uuid, meta: l.meta, linked: l.attached ? ['on_event'] : [] }));
    },
    tryLoad() {
      gate('tryLoad');
      return { tags: new Map([['on_event', program.tag]]), missing: new Map() };
    },
    end(_probe, uuid) {
      gate('end');
      find(uuid).detach(host.now().wallNs);
    },
    adopt(_probe, uuid) {
      gate('adopt');
      return find(uuid).directory;
    },
    start(_wanted, _bytes, end) {
      gate('start');
      for (const uuid of end) {
        find(uuid).detach(host.now().wallNs);
        gate('detached');
      }
      const { uuid, directory } = host.attach(program);
      return { uuid, dir: directory, missing: new Map() };
    },
  };
}

const wantedOf = (host: SimHost, { model }: Program): Wanted => ({
  probe: model.probe,
  cpus: host.cpus,
  scope: { path: '', id: 0n, level: 0 },
  programs: [{ name: 'on_event', hook: 'tp_btf/event', optional: false }],
  tables: model.tables,
  schemaHash: model.schemaHash,
  declaredRows: {},
  constants: nothing,
  control: nothing,
  pinned: new Map(),
  mapRows: new Map(),
  billBytes: 0,
});
