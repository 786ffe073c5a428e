/**
 * The key of which a table's labels are the texts: what agent/labels decodes, encoded again, for meanings whose text says
 * all of it. A Bloom filter is asked with it.
 */
import { keyMark } from '../../shared/contract/key-mark.ts';
import type { LabelSchema, TableSchema } from '../../shared/contract/lineage.ts';
import { stir } from '../../shared/algebra/sketch-hash.ts';
import { reject } from './rejection.ts';

/** Writes the bytes of a text at the label's place, or returns what is wrong with it. */
type Encoder = (text: string, label: LabelSchema, key: DataView) => string | undefined;

const number: Encoder = (text, { offset, size }, key) => {
  if (!/^-?\d{1,20}$/.test(text)) return 'is not a whole number';
  const value = BigInt(text);
  if (BigInt.asIntN(size * 8, value) !== value && BigInt.asUintN(size * 8, value) !== value)
    return `does not fit ${size} bytes`;
  for (let i = 0; i < size; i++) key.setUint8(offset + i, Number(BigInt.asUintN(8, value >> BigInt(i * 8))));
  return undefined;
};

/** Kernel text: what is longer than its place is cut there too, and ends with a zero. */
const text: Encoder = (value, { offset, size }, key) => {
  const bytes = new TextEncoder().encode(value).subarray(0, size - 1);
  bytes.forEach((byte, i) => {
    key.setUint8(offset + i, byte);
  });
  return undefined;
};

const enumeration: Encoder = (value, label, key) => {
  const known = Object.entries(label.names ?? {}).find(([, name]) => name === value);
  if (!known && !/^\d+$/.test(value)) return `is none of ${Object.values(label.names ?? {}).join(', ')}`;
  return number(known?.[0] ?? value, label, key);
};

const address: Encoder = (value, { offset, size }, key) => {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(value)?.slice(1).map(Number);
  if (v4?.every((n) => n < 256)) {
    const at = size === 16 ? offset + 12 : offset;
    if (size === 16) key.setUint16(offset + 10, 0xffff);
    v4.forEach((n, i) => {
      key.setUint8(at + i, n);
    });
    return undefined;
  }
  const halves = value.split('::');
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const given = groups.reduce((n, g) => n + g.length, 0);
  const complete = halves.length === 1 ? given === 8 : halves.length === 2 && given < 8;
  if (size !== 16 || !complete || !groups.flat().every((g) => /^[0-9a-f]{1,4}$/i.test(g))) return 'is not an address';
  const filled = [...groups[0]!, ...Array<string>(8 - given).fill('0'), ...(groups[1] ?? [])];
  filled.forEach((g, i) => {
    key.setUint16(offset + i * 2, parseInt(g, 16));
  });
  return undefined;
};

const prefix: Encoder = (value, label, key) => address(value.replace(/\/(24|48)$/, ''), label, key);

const encoders: ReadonlyMap<string, Encoder> = new Map<string, Encoder>([
  ['u64', number],
  ['s64', number],
  ['port', number],
  ['comm', text],
  ['text', text],
  ['enum', enumeration],
  ['ipv4', address],
  ['ipv6', address],
  ['prefix', prefix],
]);

/** Stirred hash of the key. */
export const hashOfLabels = (schema: TableSchema, labels: Readonly<Record<string, string>>): bigint =>
  stir(keyMark(keyOf(schema, labels), 0, schema.keyWords));

/** The key; rejects labels that are missing, unknown, or no text of their meaning. */
export function keyOf(schema: TableSchema, labels: Readonly<Record<string, string>>): DataView {
  const key = new DataView(new ArrayBuffer(schema.keyWords * 8));
  const names = schema.labels.map((l) => l.name);
  const bad = (problem: string): never =>
    reject({ kind: 'bad-field', field: 'labels', problem, fix: `give a text for each of ${names.join(', ')}` });
  for (const name of Object.keys(labels)) if (!names.includes(name)) bad(`${schema.name} has no label "${name}"`);
  for (const label of schema.labels) {
    if (!Object.hasOwn(labels, label.name)) bad(`label "${label.name}" is missing`);
    const encode = encoders.get(label.meaning);
    if (!encode) return bad(`a ${label.meaning} such as ${label.name} cannot be asked for`);
    const problem = encode(labels[label.name]!, label, key);
    if (problem !== undefined) bad(`${label.name}="${labels[label.name]!}" ${problem}`);
  }
  return key;
}
