/**
 * Brings one probe into the kernel: compares with what is pinned, then adopts it or loads, attaches and pins a new
 * lineage. Whatever can fail by the probe's own fault fails before anything that runs is touched; a new lineage's
 * programs are attached only after the old one's are detached, so that no event is counted by both.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createMap, freezeMap, mapType, pin, update } from '../../shared/adapters/libbpf.ts';
import { BpfObject } from '../../shared/adapters/libbpf-object.ts';
import { boottimeNs, wallNs } from '../../shared/adapters/libc.ts';
import type { LineageMeta } from '../../shared/contract/lineage.ts';
import { lineageFormat } from '../../shared/contract/lineage.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import { constantsMap, controlMap } from '../object/object.ts';
import { mapName, slotParts } from '../object/tables.ts';
import { choose, mismatch } from '../plan/choose.ts';
import { skipsCounted } from '../plan/hooks.ts';
import type { Wanted } from '../plan/wanted.ts';
import { bootId, kernelRelease } from './host.ts';
import type { PinRoot } from './pin-root.ts';

export interface ProgramState {
  readonly name: string;
  readonly hook: string;
  readonly state: 'attached' | 'missing';
  /** Why it is missing. */
  readonly reason?: string;
}

/** A lineage that counts. */
export interface LoadedLineage {
  readonly probe: string;
  readonly uuid: string;
  readonly dir: string;
  readonly adopted: boolean;
  readonly programs: readonly ProgramState[];
  readonly billBytes: number;
}

interface Loaded {
  readonly object: BpfObject;
  readonly missing: ReadonlyMap<string, string>;
}

export function bringUp(root: PinRoot, wanted: Wanted, bytes: Uint8Array, log: Log): LoadedLineage {
  const { probe, billBytes } = wanted;
  const pinned = root.lineages(probe);
  const comparable = pinned.some((p) => p.linked.length > 0 && mismatch(p, wanted, bootId()) === undefined);
  const trial = comparable ? tryTags(wanted, bytes) : undefined;
  const choice = choose(pinned, wanted, bootId(), trial?.tags);
  if (choice.kind === 'adopt') {
    for (const uuid of choice.end) root.detach(root.directory(probe, uuid));
    const dir = root.directory(probe, choice.uuid);
    root.grantAll(dir);
    log.info({ probe, uuid: choice.uuid, dir, billBytes }, 'lineage adopted');
    return { probe, uuid: choice.uuid, dir, adopted: true, programs: states(wanted, trial!.missing), billBytes };
  }
  log.info({ probe, because: choice.because, billBytes, tables: wanted.tables.map((t) => `${t.name}: ${t.rows} rows`) }, 'new lineage');
  const loaded = load(wanted, bytes, wanted.mapRows);
  const uuid = randomBytes(16).toString('hex');
  const temporary = root.begin(probe, uuid);
  try {
    pinMaps(loaded.object, wanted, temporary);
    for (const old of choice.end) {
      root.detach(root.directory(probe, old));
      log.info({ probe, uuid: old }, 'lineage ended');
    }
    const createdBoottimeNs = boottimeNs();
    const createdWallNs = wallNs();
    const missing = attach(loaded, wanted);
    const programs = states(wanted, missing);
    const attached = programs.filter((p) => p.state === 'attached');
    const meta: LineageMeta = {
      format: lineageFormat,
      probe,
      uuid,
      bootId: bootId(),
      createdBoottimeNs: String(createdBoottimeNs),
      createdWallNs: String(createdWallNs),
      cpus: wanted.cpus,
      scope: wanted.scope.path,
      schemaHash: wanted.schemaHash,
      programs: attached.map(({ name, hook }) => ({
        name,
        hook,
        tag: loaded.object.programInfo(name).tag,
        skipsCounted: skipsCounted(hook, kernelRelease()),
      })),
      tables: [...wanted.tables],
    };
    for (const { name } of attached) {
      pin(loaded.object.programFd(name), join(temporary, `prog-${name}`));
      pin(loaded.object.linkFd(name)!, join(temporary, `link-${name}`));
    }
    pinMeta(meta, temporary);
    root.grantAll(temporary);
    const dir = root.directory(probe, uuid);
    renameSync(temporary, dir);
    return { probe, uuid, dir, adopted: false, programs, billBytes };
  } catch (error) {
    root.remove(temporary);
    throw error;
  } finally {
    loaded.object.close();
  }
}

/** Loads what can be: an optional program that this kernel refuses is left out and reported. */
function load(wanted: Wanted, bytes: Uint8Array, rows: ReadonlyMap<string, number>): Loaded {
  const missing = new Map<string, string>();
  for (;;) {
    const object = BpfObject.open(bytes, wanted.probe, wanted.programs.map((p) => p.name));
    try {
      for (const [map, count] of rows) object.setRows(map, count);
      object.setInitialValue(constantsMap, wanted.constants);
      object.setInitialValue(controlMap, wanted.control);
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

/** The programs' tags as this kernel gives them, from a load with the smallest maps; undefined when that fails. */
function tryTags(wanted: Wanted, bytes: Uint8Array): { tags: Map<string, string>; missing: ReadonlyMap<string, string> } | undefined {
  try {
    const smallest = new Map([...wanted.mapRows.keys()].map((name) => [name, 1]));
    const { object, missing } = load(wanted, bytes, smallest);
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

/** Attaches what was loaded; gives what is missing, and why. A program that must be there throws. */
function attach(loaded: Loaded, wanted: Wanted): Map<string, string> {
  const missing = new Map(loaded.missing);
  for (const program of wanted.programs) {
    if (missing.has(program.name)) continue;
    const refusal = loaded.object.attach(program.name);
    if (!refusal) continue;
    if (!program.optional) throw refusal.error;
    missing.set(program.name, refusal.error.what);
  }
  if (missing.size === wanted.programs.length) {
    throw new MusterError('bpf/attach', `attach ${wanted.probe}: no program could be attached`, { cause: [...missing.values()].join('; ') });
  }
  return missing;
}

const states = (wanted: Wanted, missing: ReadonlyMap<string, string>): ProgramState[] =>
  wanted.programs.map(({ name, hook }) => {
    const reason = missing.get(name);
    return reason === undefined ? { name, hook, state: 'attached' } : { name, hook, state: 'missing', reason };
  });

function pinMaps(object: BpfObject, wanted: Wanted, directory: string): void {
  pin(object.mapFd(controlMap), join(directory, 'control'));
  for (const { name } of wanted.tables) {
    for (const part of slotParts) {
      for (const slot of [0, 1] as const) pin(object.mapFd(mapName(name, part, slot)), join(directory, `${name}-${part}-${slot}`));
    }
  }
  // For the agent to wait a grace period with, where membarrier does not wait.
  const inner = createMap(mapType.array, 'muster_inner', 4, 8, 1);
  const outer = createMap(mapType.arrayOfMaps, 'muster_grace', 4, 4, 1, inner);
  pin(outer, join(directory, 'grace'));
  pin(inner, join(directory, 'grace-inner'));
  closeSync(outer);
  closeSync(inner);
}

function pinMeta(meta: LineageMeta, directory: string): void {
  const text = Buffer.from(JSON.stringify(meta));
  const value = Buffer.alloc(Math.ceil((text.length + 1) / 8) * 8);
  text.copy(value);
  const fd = createMap(mapType.array, 'muster_meta', 4, value.length, 1);
  try {
    update(fd, Buffer.alloc(4), value, 'meta');
    freezeMap(fd, 'meta');
    pin(fd, join(directory, 'meta'));
  } finally {
    closeSync(fd);
  }
}
