/**
 * What many blobs repeat, kept once: label texts as dense numbers, so that selecting and grouping compare numbers (0 is
 * the empty text), and schemas, so that a thousand hosts with one schema cost one parse.
 */
import { parseTables, type TableSchema } from '../../shared/contract/lineage.ts';

const schemasMax = 1000;

export class Dictionary {
  readonly #ids = new Map<string, number>([['', 0]]);
  readonly #texts: string[] = [''];
  readonly #tables = new Map<string, readonly TableSchema[]>();

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

  text(id: number): string {
    return this.#texts[id]!;
  }

  get size(): number {
    return this.#texts.length;
  }
}
