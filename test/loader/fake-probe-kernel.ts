/** A kernel for the loader's core: lineages in memory, what is done to them as a list. */
import type { Pinned } from '../../services/loader/load/choose.ts';
import type { ProbeKernel, Started, Trial } from '../../services/loader/load/probe-kernel.ts';
import type { Wanted } from '../../services/loader/load/wanted.ts';
import { lineageFormat } from '../../services/shared/contract/lineage.ts';

export class FakeProbeKernel implements ProbeKernel {
  bootId = 'b'.repeat(32);
  readonly done: string[] = [];
  readonly pinned = new Map<string, Pinned>();
  /** By program. */
  tags = new Map([['on_event', '0123456789abcdef']]);
  /** Programs this kernel refuses. */
  missing = new Map<string, string>();
  failure: Error | undefined;
  private created = 0;

  types(): Uint8Array {
    return new Uint8Array();
  }

  lineages(): Pinned[] {
    return [...this.pinned.values()];
  }

  tryLoad(): Trial | undefined {
    this.done.push('try');
    return this.failure ? undefined : { tags: this.tags, missing: this.missing };
  }

  end(_probe: string, uuid: string): void {
    this.done.push(`end ${uuid.slice(-1)}`);
    this.pinned.set(uuid, { ...this.pinned.get(uuid)!, linked: [] });
  }

  adopt(_probe: string, uuid: string): string {
    this.done.push(`adopt ${uuid.slice(-1)}`);
    return `/pins/${uuid}`;
  }

  start(wanted: Wanted, _bytes: Uint8Array, end: readonly string[], skipsCounted: (hook: string) => boolean): Started {
    if (this.failure) throw this.failure;
    for (const uuid of end) this.end(wanted.probe, uuid);
    const number = ++this.created;
    const uuid = String(number).padStart(32, '0');
    this.done.push(`start ${number}`);
    const programs = wanted.programs.filter((p) => !this.missing.has(p.name));
    this.pinned.set(uuid, {
      uuid,
      linked: programs.map((p) => p.name),
      meta: {
        format: lineageFormat,
        probe: wanted.probe,
        uuid,
        bootId: this.bootId,
        createdBoottimeNs: String(number),
        createdWallNs: String(number),
        cpus: wanted.cpus,
        scope: wanted.scope.path,
        schemaHash: wanted.schemaHash,
        programs: programs.map(({ name, hook }) => ({
          name,
          hook,
          tag: this.tags.get(name)!,
          skipsCounted: skipsCounted(hook),
        })),
        tables: [...wanted.tables],
      },
    });
    return { uuid, dir: `/pins/${uuid}`, missing: this.missing };
  }
}
