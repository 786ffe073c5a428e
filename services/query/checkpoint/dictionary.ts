/**
 * What many blobs repeat, kept once: label texts as dense numbers, so that selecting and grouping compare numbers (0 is
 * the empty text), schemas, so that a thousand hosts with one schema cost one parse, and pages of labels, so that hosts
 * that count the same things share them.
 */
import { xxh32 } from '../../shared/contract/checksum.ts';
import { parseTables, type TableSchema } from '../../shared/contract/lineage.ts';

/** Labels of consecutive series: label l of series first + i is labels[l][i]. */
export interface SeriesPageIds {
  readonly first: number;
  readonly count: number;
  readonly labels: readonly Uint32Array[];
}

const schemasMax = 1000;
/** Encoded bytes of pages that are kept to be compared. */
const pageBytesMax = 64 * 2 ** 20;

export class Dictionary {
  readonly #ids = new Map<string, number>([['', 0]]);
  readonly #texts: string[] = [''];
  readonly #tables = new Map<string, readonly TableSchema[]>();

  readonly #pages = new Map<string, { readonly bytes: Uint8Array; readonly page: SeriesPageIds }>();
  #pageBytes = 0;

  /** Number of a text, given now when it is new. */
  intern(text: string): number {
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#texts.length;
      this.#ids.set(text, id);
      this.#texts.push(text);
    }
    return id;
  }

  /** Number of a text that the fleet has; undefined where it has none: what callers say is not kept. */
  find(text: string): number | undefined {
    return this.#ids.get(text);
  }

  /** Tables of a lineage's schema_json. Throws where it is none. */
  tables(schemaJson: string): readonly TableSchema[] {
    let tables = this.#tables.get(schemaJson);
    if (!tables) {
      if (this.#tables.size >= schemasMax) this.#tables.clear();
      tables = schemaJson ? parseTables(schemaJson) : [];
      this.#tables.set(schemaJson, tables);
    }
    return tables;
  }

  /** The page of these bytes: one for all that are equal to the last byte, made by `decode` when it is new. */
  page(bytes: Uint8Array, decode: () => SeriesPageIds): SeriesPageIds {
    const key = `${bytes.length}:${xxh32(bytes)}`;
    const known = this.#pages.get(key);
    if (known && equal(known.bytes, bytes)) return known.page;
    const page = decode();
    if (this.#pageBytes + bytes.length > pageBytesMax) {
      this.#pages.clear();
      this.#pageBytes = 0;
    }
    if (!known) this.#pageBytes += bytes.length;
    this.#pages.set(key, { bytes: bytes.slice(), page });
    return page;
  }

  text(id: number): string {
    return this.#texts[id]!;
  }

  get size(): number {
    return this.#texts.length;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
