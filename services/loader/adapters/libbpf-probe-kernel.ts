/**
 * Port ProbeKernel on libbpf and a pin root: loads, attaches and pins one object. A program that is optional in the
 * object and refused by this kernel is left out and reported.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createMap, mapType, pin } from '../../shared/adapters/libbpf.ts';
import { BpfObject, type Refusal } from '../../shared/adapters/libbpf-object.ts';
import { onlineCpus } from '../../shared/adapters/perf-events.ts';
import { boottimeNs, wallNs } from '../../shared/adapters/libc.ts';
import { clockWord } from '../../shared/contract/control.ts';
import type { LineageMeta } from '../../shared/contract/lineage.ts';
import { lineageFormat } from '../../shared/contract/lineage.ts';
import { clockOffset } from '../../shared/contract/seconds.ts';
import { constantsMap, controlMap, mapName, pinName, slotParts } from '../../shared/contract/table-maps.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Pinned } from '../load/choose.ts';
import type { ProbeKernel, Started, Trial } from '../load/probe-kernel.ts';
import type { Wanted } from '../load/wanted.ts';
import type { ProgramSpec } from '../object/object.ts';
import { bootId, kernelTypes } from './host.ts';
import { pinText, type PinRoot } from './pin-root.ts';

interface Loaded {
  readonly object: BpfObject;
  readonly missing: ReadonlyMap<string, string>;
}

export class LibbpfProbeKernel implements ProbeKernel {
  readonly bootId = bootId();

  constructor(private readonly root: PinRoot) {}

  types(): Uint8Array {
    return kernelTypes();
  }

  lineages(probe: string): Pinned[] {
    return this.root.lineages(probe);
  }

  tryLoad(wanted: Wanted, bytes: Uint8Array): Trial | undefined {
    try {
      const { object, missing } = load(wanted, bytes, new Map([...wanted.mapRows.keys()].map((name) => [name, 1])));
      try {
        const names = wanted.programs.map((p) => p.name).filter((name) => !missing.has(name));
        return { tags: new Map(names.map((name) => [name, object.programInfo(name).tag])), missing };
      } finally {
        object.close();
      }
    } catch (error) {
      // The load in full will fail likewise, and say why.
      if (error instanceof MusterError) return undefined;
      throw error;
    }
  }

  end(probe: string, uuid: string): void {
    this.root.detach(this.root.directory(probe, uuid));
  }

  adopt(probe: string, uuid: string): string {
    const dir = this.root.directory(probe, uuid);
    this.root.grantAll(dir);
    return dir;
  }

  start(wanted: Wanted, bytes: Uint8Array, end: readonly string[], skipsCounted: (hook: string) => boolean): Started {
    const { probe } = wanted;
    const loaded = load(wanted, bytes, wanted.mapRows);
    const uuid = randomBytes(16).toString('hex');
    const temporary = this.root.begin(probe, uuid);
    try {
      pinMaps(loaded.object, wanted, temporary);
      for (const old of end) this.end(probe, old);
      const created = { createdBoottimeNs: String(boottimeNs()), createdWallNs: String(wallNs()) };
      const missing = attach(loaded, wanted);
      const attached = wanted.programs.filter((p) => !missing.has(p.name));
      for (const { name } of attached) {
        pin(loaded.object.programFd(name), join(temporary, `prog-${name}`));
        for (const [link, fd] of loaded.object.linkFds(name)) pin(fd, join(temporary, `link-${link}`));
      }
      pinMeta(
        {
          format: lineageFormat,
          probe,
          uuid,
          bootId: this.bootId,
          ...created,
          cpus: wanted.cpus,
          scope: wanted.scope.path,
          schemaHash: wanted.schemaHash,
          billBytes: wanted.billBytes,
          declaredRows: wanted.declaredRows,
          programs: attached.map(({ name, hook }) => ({
            name,
            hook,
            tag: loaded.object.programInfo(name).tag,
            skipsCounted: skipsCounted(hook),
          })),
          missing: wanted.programs.flatMap(({ name, hook }) => {
            const reason = missing.get(name);
            return reason === undefined ? [] : [{ probe, program: name, hook, reason }];
          }),
          tables: [...wanted.tables],
        },
        temporary,
      );
      this.root.grantAll(temporary);
      const dir = this.root.directory(probe, uuid);
      renameSync(temporary, dir);
      return { uuid, dir, missing };
    } catch (error) {
      this.root.remove(temporary);
      throw error;
    } finally {
      loaded.object.close();
    }
  }
}

/** The control map's first content, with the clock by which programs tell seconds. */
function withClock(control: Uint8Array): Uint8Array {
  const bytes = control.slice();
  const offset = clockOffset({ wallNs: wallNs(), boottimeNs: boottimeNs() });
  new DataView(bytes.buffer).setBigUint64(clockWord * 8, offset, true);
  return bytes;
}

/** Loads what can be: an optional program that this kernel refuses is left out. */
function load(wanted: Wanted, bytes: Uint8Array, rows: ReadonlyMap<string, number>): Loaded {
  const missing = new Map<string, string>();
  for (;;) {
    const object = BpfObject.open(
      bytes,
      wanted.probe,
      wanted.programs.map((p) => p.name),
    );
    try {
      for (const [map, count] of rows) object.setRows(map, count);
      object.setInitialValue(constantsMap, wanted.constants);
      object.setInitialValue(controlMap, withClock(wanted.control));
      for (const name of missing.keys()) object.skipProgram(name);
      const refusal = object.load();
      if (!refusal) return { object, missing };
      const program = wanted.programs.find((p) => p.name === refusal.program);
      const others = wanted.programs.length - missing.size - 1;
      if (!program?.optional || missing.has(program.name) || others === 0) throw refusal.error;
      missing.set(program.name, refusal.error.what);
    } catch (error) {
      object.close();
      throw error;
    }
    object.close();
  }
}

/** Attaches what was loaded; gives what is missing, and why. A program that must be there throws. */
function attach(loaded: Loaded, wanted: Wanted): Map<string, string> {
  const missing = new Map(loaded.missing);
  for (const program of wanted.programs) {
    if (missing.has(program.name)) continue;
    const refusal = attachOne(loaded.object, program);
    if (!refusal) continue;
    if (!program.optional) throw refusal.error;
    missing.set(program.name, refusal.error.what);
  }
  if (missing.size === wanted.programs.length) {
    throw new MusterError('bpf/attach', `attach ${wanted.probe}: no program could be attached`, {
      cause: [...missing.values()].join('; '),
    });
  }
  return missing;
}

function attachOne(object: BpfObject, { name, hook, targets, periodNs }: ProgramSpec): Refusal | undefined {
  if (periodNs !== undefined) {
    for (const cpu of onlineCpus()) {
      const refusal = object.attachClock(name, cpu, periodNs);
      if (refusal) return refusal;
    }
    return undefined;
  }
  if (!targets) return object.attach(name);
  const onReturn = hook.startsWith('uretprobe');
  for (const [i, { path, symbol, cookie }] of targets.entries()) {
    const refusal = object.attachFunction(name, path, symbol, cookie, onReturn, i);
    if (refusal) return refusal;
  }
  return undefined;
}

function pinMaps(object: BpfObject, wanted: Wanted, directory: string): void {
  pin(object.mapFd(controlMap), join(directory, 'control'));
  for (const { name } of wanted.tables) {
    for (const part of slotParts) {
      for (const slot of [0, 1] as const)
        pin(object.mapFd(mapName(name, part, slot)), join(directory, pinName(name, part, slot)));
    }
  }
  for (const [map, name] of wanted.pinned) pin(object.mapFd(map), join(directory, name));
  // For the agent to wait a grace period with, where membarrier does not wait.
  const inner = createMap(mapType.array, 'muster_inner', 4, 8, 1);
  const outer = createMap(mapType.arrayOfMaps, 'muster_grace', 4, 4, 1, inner);
  pin(outer, join(directory, 'grace'));
  pin(inner, join(directory, 'grace-inner'));
  closeSync(outer);
  closeSync(inner);
}

const pinMeta = (meta: LineageMeta, directory: string): void => pinText(JSON.stringify(meta), join(directory, 'meta'));
