/**
 * Stacks as a profile for `go tool pprof`. Functions are told apart by name alone; those of the kernel lie in a file of
 * their own. Samples of a baseline are negative and carry pprof's own mark, as `-diff_base` makes them.
 */
import type { Location, Profile, ProfileFunction, Sample } from '../../shared/contract/profile.ts';
import { utf8Bytes } from './page.ts';
import { int64Max } from './sums.ts';
import { notShown, type Amount } from './stack-tree.ts';

export interface ProfileOf {
  readonly metric: string;
  readonly unit: string;
  readonly startMs: number;
  readonly seconds: number;
  readonly notes: readonly string[];
}

/** Units as pprof calls them: it then scales them. */
const units: Readonly<Record<string, string>> = { ns: 'nanoseconds', us: 'microseconds', ms: 'milliseconds' };

const [processes, kernel] = [1n, 2n];
const baseMark = { key: 'pprof::base', str: 'true' };

export class StackProfile {
  readonly #texts = new Map<string, number>([['', 0]]);
  readonly #locations = new Map<string, bigint>();
  readonly #samples: Sample[] = [];

  /** Room that a stack needs beyond what is there. */
  bytesFor(frames: readonly string[], labels: readonly (readonly [string, string])[]): number {
    const named = frames.reduce((n, f) => n + (this.#locations.has(f) ? 0 : utf8Bytes(f) + 48), 0);
    const said = labels.flat().reduce((n, t) => n + (this.#texts.has(t) ? 0 : utf8Bytes(t) + 4), 0);
    // Twice, for what the baseline has of it.
    return named + said + 2 * (32 + frames.length * 4 + labels.length * 16);
  }

  add(frames: readonly string[], labels: readonly (readonly [string, string])[], { value, base = 0n }: Amount): void {
    const locationId = frames.map((name) => this.#location(name)).reverse();
    const label = labels.map(([key, str]) => this.#label(key, str));
    if (value !== 0n) this.#samples.push({ locationId, value: [clamped(value)], label });
    if (base !== 0n) {
      const marked = [...label, this.#label(baseMark.key, baseMark.str)];
      this.#samples.push({ locationId, value: [-clamped(base)], label: marked });
    }
  }

  /** `rest`: what no stack shows. */
  finish(of: ProfileOf, rest: Amount): Profile {
    this.add([notShown], [], rest);
    const type = { type: this.#text(of.metric), unit: this.#text(units[of.unit] ?? of.unit) };
    const names = [...this.#locations].map(([name, id]) => ({ id, name: this.#text(name) }));
    const files = { hasFunctions: true, hasFilenames: true, hasLineNumbers: true };
    return {
      sampleType: [type],
      sample: this.#samples,
      mapping: [
        { id: processes, filename: this.#text('[processes]'), ...files },
        { id: kernel, filename: this.#text('[kernel]'), ...files },
      ],
      location: [...this.#locations].map(([name, id]): Location => ({
        id,
        mappingId: name.endsWith('_[k]') ? kernel : processes,
        line: [{ functionId: id }],
      })),
      function: names.map(({ id, name }): ProfileFunction => ({ id, name, systemName: name })),
      timeNanos: BigInt(Math.round(of.startMs)) * 1_000_000n,
      durationNanos: BigInt(Math.round(of.seconds * 1000)) * 1_000_000n,
      comment: of.notes.map((note) => this.#text(note)),
      stringTable: [...this.#texts.keys()],
    };
  }

  #text(text: string): bigint {
    let at = this.#texts.get(text);
    if (at === undefined) this.#texts.set(text, (at = this.#texts.size));
    return BigInt(at);
  }

  #label(key: string, str: string): Sample['label'][number] {
    return { key: this.#text(key), str: this.#text(str) };
  }

  #location(name: string): bigint {
    let id = this.#locations.get(name);
    if (id === undefined) this.#locations.set(name, (id = BigInt(this.#locations.size + 1)));
    return id;
  }
}

const clamped = (value: bigint): bigint => (value > int64Max ? int64Max : value);
