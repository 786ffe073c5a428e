/**
 * Decoded blobs by partition and name, with the digest they were decoded from. Bounded by weight; the least lately
 * used leave first. A request holds what it uses, so that an eviction in its midst costs it nothing.
 */
import type { DecodedBlob } from './blobs.ts';

interface Kept {
  readonly digest: string;
  readonly blob: DecodedBlob;
}

export class BlobCache {
  readonly #kept = new Map<string, Kept>();
  #weight = 0;

  constructor(readonly weightMax: number) {}

  get weight(): number {
    return this.#weight;
  }

  get(partition: number, name: string, digest: string): DecodedBlob | undefined {
    const key = `${partition}/${name}`;
    const kept = this.#kept.get(key);
    if (kept?.digest !== digest) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.blob;
  }

  has(partition: number, name: string, digest: string): boolean {
    return this.#kept.get(`${partition}/${name}`)?.digest === digest;
  }

  put(partition: number, name: string, digest: string, blob: DecodedBlob): void {
    const key = `${partition}/${name}`;
    this.#drop(key);
    this.#kept.set(key, { digest, blob });
    this.#weight += blob.weight;
    for (const oldest of this.#kept.keys()) {
      if (this.#weight <= this.weightMax) break;
      this.#drop(oldest);
    }
  }

  clear(): void {
    this.#kept.clear();
    this.#weight = 0;
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key);
    if (!kept) return;
    this.#kept.delete(key);
    this.#weight -= kept.blob.weight;
  }
}
