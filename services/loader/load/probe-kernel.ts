/**
 * Port: the kernel and its pins as the loader uses them. Real: adapters/libbpf-probe-kernel.ts.
 * Every method may throw MusterError bpf/…; start() changes nothing that runs unless the probe has loaded.
 */
import type { Pinned } from './choose.ts';
import type { Wanted } from './wanted.ts';

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

/** Programs that this kernel loads, with their tags; and those it does not, with the reason. */
export interface Trial {
  readonly tags: ReadonlyMap<string, string>;
  readonly missing: ReadonlyMap<string, string>;
}

export interface Started {
  readonly uuid: string;
  readonly dir: string;
  readonly missing: ReadonlyMap<string, string>;
}

export interface ProbeKernel {
  /** 32 hex digits. */
  readonly bootId: string;
  /** Its own types, as BTF. */
  types(): Uint8Array;
  lineages(probe: string): Pinned[];
  /** Loads the programs, with the smallest maps and without attaching; undefined when that fails. */
  tryLoad(wanted: Wanted, bytes: Uint8Array): Trial | undefined;
  /** Detaches a lineage; its maps stay. */
  end(probe: string, uuid: string): void;
  /** Takes a lineage over as it is; gives its directory. */
  adopt(probe: string, uuid: string): string;
  /** Loads, detaches the lineages `end`, attaches, pins. `skipsCounted` by hook goes into the meta. */
  start(wanted: Wanted, bytes: Uint8Array, end: readonly string[], skipsCounted: (hook: string) => boolean): Started;
}
