/**
 * Replies as proto3 JSON, as grpcurl prints them: Timestamp and Duration as text, int64 as strings, default values left
 * out. Works on the shapes of contract/query.ts, where a Duration stands in fields of known names alone.
 */
const durationFields = new Set(['lag', 'interval', 'step', 'retryDelay', 'period']);

interface Time {
  seconds: string | number;
  nanos: number;
}
const isTime = (v: object): v is Time => 'seconds' in v && 'nanos' in v && Object.keys(v).length === 2;

const fraction = (nanos: number): string => {
  if (nanos === 0) return '';
  const digits = String(Math.abs(nanos)).padStart(9, '0');
  return `.${digits.endsWith('000000') ? digits.slice(0, 3) : digits.endsWith('000') ? digits.slice(0, 6) : digits}`;
};

/** "2026-01-31T12:00:00.250Z". */
export const timestampText = (t: Time): string =>
  `${new Date(Number(t.seconds) * 1000).toISOString().slice(0, 19)}${fraction(t.nanos)}Z`;

/** "1.500s". */
export const durationText = (t: Time): string =>
  `${t.nanos < 0 && Number(t.seconds) === 0 ? '-' : ''}${t.seconds}${fraction(t.nanos)}s`;

const isDefault = (v: unknown): boolean =>
  v === null ||
  v === undefined ||
  v === '' ||
  v === 0 ||
  v === '0' ||
  v === false ||
  (Array.isArray(v) && v.length === 0) ||
  (typeof v === 'object' && !Array.isArray(v) && Object.keys(v).length === 0);

/** The JSON value of a message. Values inside a map (labels) are kept even when they are empty. */
export function protoJson(message: unknown, field = ''): unknown {
  if (Array.isArray(message)) return message.map((v) => protoJson(v, field));
  if (typeof message === 'number' && !Number.isFinite(message)) return String(message);
  if (typeof message !== 'object' || message === null) return message;
  if (isTime(message)) return durationFields.has(field) ? durationText(message) : timestampText(message);
  const isMap = field === 'labels' && Object.values(message).every((v) => typeof v === 'string');
  const found: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    // An optional field that is there stands, whatever its value; its oneof is no field.
    if (!isMap && name.startsWith('_')) continue;
    if (isMap || `_${name}` in message || !isDefault(value)) found[name] = protoJson(value, name);
  }
  return found;
}
