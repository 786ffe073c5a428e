/**
 * Real probes in the real kernel, for tests: loaded as the loader does it, under a pin root of their own, and read as
 * the agent does it. Each test's probe counts a cgroup of its own, or the whole host where that is what it tests.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { LibbpfProbeKernel } from '../../services/loader/adapters/libbpf-probe-kernel.ts';
import { PinRoot } from '../../services/loader/adapters/pin-root.ts';
import { requirePrivilege, resolveScope } from '../../services/loader/adapters/host.ts';
import { readObject } from '../../services/loader/object/object.ts';
import { defaultHz } from '../../services/loader/load/clock.ts';
import type { FunctionTarget } from '../../services/loader/load/functions.ts';
import { want } from '../../services/loader/load/wanted.ts';
import { bringUp } from '../../services/loader/loader.ts';
import { possibleCpus } from '../../services/shared/adapters/libbpf.ts';
import { createPinnedTables } from '../../services/shared/adapters/libbpf-pinned-tables.ts';
import { mapPinned } from '../../services/shared/adapters/libbpf-pinned-slot.ts';
import {
  controlWords,
  decodeControl,
  encodeGoverned,
  governorWord,
  scaleWord,
  type Governed,
} from '../../services/shared/contract/control.ts';
import type { LineageMeta, TableSchema } from '../../services/shared/contract/lineage.ts';
import { parseLineageMeta } from '../../services/shared/contract/lineage.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';
import type { PinnedLineage, TableImage } from '../../services/shared/runtime/ports/pinned-tables.ts';
import { requireOrSkip } from '../require.ts';

export const checkout = join(import.meta.dirname, '../..');
export const builtProbe = (name: string): Uint8Array => readFileSync(join(checkout, `build/bpf/${name}.bpf.o`));

/** Compiles a source beside this file with the script that users are told to use. */
export function compileProbe(source: string): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'muster-probe-'));
  try {
    const object = join(directory, 'probe.bpf.o');
    execFileSync(join(checkout, 'deploy/build-bpf.sh'), [join(import.meta.dirname, source), object], {
      stdio: 'inherit',
    });
    return readFileSync(object);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Skips the test where this process may not load BPF programs. */
export function requireBpf(t: TestContext): boolean {
  try {
    requirePrivilege();
    return requireOrSkip(t, 'BPF', true);
  } catch {
    return requireOrSkip(t, 'CAP_BPF and CAP_PERFMON', false);
  }
}

let made = 0;
const ownName = (): string => `muster-test-${process.pid}-${++made}`;

/** A cgroup of its own, below the cgroup v2 mount; removed after the test. */
export function ownCgroup(t: TestContext): { directory: string; scope: string } {
  const mount = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'))![1]!;
  const path = `/${ownName()}`;
  mkdirSync(join(mount, path));
  t.after(() => {
    rmdirSync(join(mount, path));
  });
  return { directory: join(mount, path), scope: `cgroup=${path}` };
}

export interface Row {
  readonly row: number;
  /** The words of its key; none in a row that no key has yet. */
  readonly key: BigUint64Array;
  readonly values: bigint[];
}

/** What a slot holds, CPUs added up. */
export interface Contents {
  readonly rows: Row[];
  /** Row 0. */
  readonly overflow: bigint[];
  readonly seen: bigint;
  /** full, no memory, busy, other. */
  readonly failed: bigint[];
  readonly rowsIssued: number;
  /** Of what was sampled: seen, given, both for the second value; the largest weight. Σ rows = seen + given. */
  readonly sampled: bigint[];
}

export class LoadedProbe {
  constructor(
    readonly meta: LineageMeta,
    readonly lineage: PinnedLineage,
    /** Its pins. */
    readonly directory: string,
    /** Detaches its programs; its maps stay. */
    readonly detach: () => void = () => undefined,
  ) {}

  /** A table's slot: of the first table, and the active one, unless another is meant. */
  read(slot = decodeControl(this.lineage.readControl())!.slot, table = 0): Contents {
    const image: TableImage = { rowsIssued: 0, cells: new Uint32Array(0), ledger: new Uint32Array(0) };
    this.lineage.readTable(table, slot, image);
    const { rowsIssued } = image;
    const schema = this.meta.tables[table]!;
    const words = 1 + schema.keyWords;
    const keys =
      rowsIssued > 0
        ? new BigUint64Array(this.lineage.readKeys(table, slot, 1, rowsIssued).buffer)
        : new BigUint64Array();
    const values = sumOverCpus(image, this.meta.cpus, schema);
    const ledger = sumLedger(image, this.meta.cpus);
    const rows = values.slice(1).map((v, i) => {
      const ready = keys[i * words] !== 0n;
      return { row: i + 1, key: ready ? keys.slice(i * words + 1, (i + 1) * words) : keys.slice(0, 0), values: v };
    });
    return {
      rows,
      overflow: values[0]!,
      seen: ledger[0]!,
      failed: ledger.slice(1),
      rowsIssued,
      sampled: sampledOf(image, this.meta.cpus),
    };
  }
}

const u64 = (limbs: Uint32Array, index: number): bigint =>
  BigInt(limbs[index * 2]!) | (BigInt(limbs[index * 2 + 1]!) << 32n);

function sumOverCpus(image: TableImage, cpus: number, schema: TableSchema): bigint[][] {
  const stride = image.rowsIssued + 1;
  return Array.from({ length: stride }, (_, row) =>
    Array.from({ length: schema.valueCount }, (_unused, v) => {
      let sum = 0n;
      for (let cpu = 0; cpu < cpus; cpu++) sum += u64(image.cells, (cpu * stride + row) * schema.valueCount + v);
      return sum;
    }),
  );
}

function sumLedger(image: TableImage, cpus: number): bigint[] {
  return Array.from({ length: 5 }, (_, field) => {
    let sum = 0n;
    for (let cpu = 0; cpu < cpus; cpu++) sum += u64(image.ledger, cpu * 5 + field);
    return sum;
  });
}

function sampledOf({ sampling }: TableImage, cpus: number): bigint[] {
  const found = [0n, 0n, 0n, 0n, 0n];
  for (let cpu = 0; cpu < cpus; cpu++) {
    for (let field = 0; field < 4; field++) found[field]! += u64(sampling!, cpu * 5 + field);
    const weight = u64(sampling!, cpu * 5 + 4);
    if (weight > found[4]!) found[4] = weight;
  }
  return found;
}

export interface LoadOptions {
  /** As --scope. */
  readonly scope?: string;
  readonly rows?: number;
  /** Opt-in labels. */
  readonly labels?: readonly string[];
  /** Functions to attach to. */
  readonly functions?: readonly FunctionTarget[];
  /** See want(). */
  readonly cgroupV1?: number;
  readonly profileHz?: number;
}

/** Loads a probe for the length of the test: a built one, or the object given. */
export function loadProbe(
  t: TestContext,
  name: string,
  options: LoadOptions = {},
  bytes = builtProbe(name),
): LoadedProbe {
  const root = PinRoot.acquire(`/sys/fs/bpf/${ownName()}`, 0);
  t.after(() => {
    root.removeAll();
    root.release();
  });
  const spec = readObject(bytes);
  const rows = new Map(options.rows === undefined ? [] : [[spec.tables[0]!.name, options.rows]]);
  const { labels = [], cgroupV1 = 0, functions = [] } = options;
  const { profileHz = defaultHz } = options;
  const chosen = { labels, cgroupV1, functions, profileHz };
  const wanted = want(name, spec, possibleCpus(), resolveScope(options.scope), rows, chosen);
  const loaded = bringUp(new LibbpfProbeKernel(root), wanted, bytes, silentLog);
  const lineage = createPinnedTables(root.path).open(`${name}/${loaded.uuid}`);
  t.after(() => {
    lineage.close();
  });
  return new LoadedProbe(parseLineageMeta(lineage.metaJson), lineage, loaded.dir, () => root.detach(loaded.dir));
}

const padded = (text: string): Buffer => Buffer.concat([Buffer.from(text), Buffer.alloc(16)]).subarray(0, 16);
/** The two words of a comm. */
export const commWords = (comm: string): bigint[] => [padded(comm).readBigUInt64LE(0), padded(comm).readBigUInt64LE(8)];
/** The comm of two words. */
export function commText(low: bigint, high: bigint): string {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(low, 0);
  bytes.writeBigUInt64LE(high, 8);
  return bytes.toString('latin1').replace(/\0.*$/s, '');
}

/** Has the probe sample as the governor does; scale: by table. */
export function govern(probe: LoadedProbe, governed: Partial<Governed>, scale: readonly number[] = []): void {
  const control = mapPinned(probe.directory, 'control', controlWords * 8);
  scale.forEach((bits, t) => Atomics.store(control.words, scaleWord + t, BigInt(bits)));
  const word = encodeGoverned({ level: 0, stacksDropped: false, budgetPpm: 0, sinceWallS: 0, ...governed });
  Atomics.store(control.words, governorWord, word);
  control.unmap();
}

/** Every count is somewhere: the equation that holds for a table whenever no program runs. */
export const total = (c: Contents): bigint => c.rows.reduce((sum, r) => sum + r.values[0]!, c.overflow[0]!);
