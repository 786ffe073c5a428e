/** A counter with many keys and long names, for batches that need parts. */
import { keyMark } from '../../services/shared/contract/key-mark.ts';
import { schemaHash, type TableSchema } from '../../services/shared/contract/lineage.ts';
import type { ProbeModel } from '../simulation/catalogue.ts';

/** `count` keys with names of `nameBytes` bytes, all different. */
export function wideModel(count: number, nameBytes: number): ProbeModel {
  const words = Math.ceil(nameBytes / 8);
  const table: TableSchema = {
    name: 'wide',
    kind: 'counter',
    unit: 'events',
    help: '',
    rows: count,
    hints: 16,
    keyWords: words,
    valueCount: 1,
    labels: [{ name: 'name', meaning: 'comm', offset: 0, size: words * 8 }],
  };
  const series = Array.from({ length: count }, (_, i) => `${i}-`.padEnd(nameBytes, 'x'));
  const entries = series.map((text) => {
    const bytes = new Uint8Array(8 + words * 8);
    new TextEncoder().encodeInto(text, bytes.subarray(8));
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, keyMark(view, 8, words), true);
    return bytes;
  });
  return {
    probe: 'wide',
    tables: [table],
    schemaHash: schemaHash([table]).toString(16).padStart(16, '0'),
    keys: [{ count, entries, series, numbers: series.map((_, i) => i) }],
  };
}
