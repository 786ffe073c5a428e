/** What the kernels really counted, by table and series number (catalogue.ts), two limbs each. */
import { addInto, toBigInt } from '../../services/shared/algebra/limbs.ts';
import { allSeries, overflowSeries } from './catalogue.ts';
import type { SimLineage } from './pins.ts';

/** Of all these lineages together. */
export function truthOf(lineages: Iterable<SimLineage>, table: string): Uint32Array {
  const truth = new Uint32Array(allSeries(table).length * 2);
  for (const { model, truth: counted } of lineages) {
    const t = model.tables.findIndex((s) => s.name === table);
    if (t < 0) continue;
    const { count, numbers } = model.keys[t]!;
    const of = counted[t]!;
    for (let key = 0; key < count; key++) addInto(truth, numbers[key]! * 2, of, key * 2);
    addInto(truth, overflowSeries, of, count * 2);
  }
  return truth;
}

/** Σ of all series. */
export function sumOf(limbs: Uint32Array): bigint {
  const sum = new Uint32Array(2);
  for (let i = 0; i < limbs.length; i += 2) addInto(sum, 0, limbs, i);
  return toBigInt(sum, 0);
}
