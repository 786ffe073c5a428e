/** Answers for programs: jsonl, one row a line; csv, one row a line with a title line. Values are the API's, not rounded. */
import { protoJson } from '../../shared/contract/proto-json.ts';

export const formats = ['table', 'json', 'jsonl', 'csv'] as const;
export type Format = (typeof formats)[number];

/** The lists that are an answer's rows; an answer without any is one row. */
const rowFields = ['rows', 'series', 'hosts', 'metrics', 'values'] as const;

type Fields = Readonly<Record<string, unknown>>;

function rowsOf(answer: object): readonly Fields[] {
  const fields = answer as Fields;
  const name = rowFields.find((field) => Array.isArray(fields[field]));
  if (name !== undefined) return fields[name] as readonly Fields[];
  // GetHost, ForgetHost: their one row is the host.
  return [(fields['host'] as Fields | null | undefined) ?? fields];
}

export const jsonLines = (answer: object): string =>
  rowsOf(answer)
    .map((row) => `${JSON.stringify(protoJson(row))}\n`)
    .join('');

/** RFC 4180: quoted where needed, quotes doubled. Lines end in a newline alone. */
const cell = (value: string): string => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function text(value: unknown, field: string): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'object') return String(value as string | number | boolean);
  const json = protoJson(value, field);
  return typeof json === 'string' ? json : JSON.stringify(json);
}

const labelsOf = (row: Fields): readonly (readonly [string, string])[] => {
  const labels = row['labels'];
  return typeof labels === 'object' && labels !== null && !Array.isArray(labels)
    ? Object.entries(labels as Record<string, string>)
    : [];
};
const pointsOf = (row: Fields): readonly Fields[] => (Array.isArray(row['points']) ? (row['points'] as Fields[]) : []);
const namesOf = (fields: Fields): string[] => Object.keys(fields).filter((name) => !name.startsWith('_'));

/** A label has a column of its name, or, where a field of any row has that name, one with `label_` in front. */
function labelColumns(rows: readonly Fields[]): (label: string) => string {
  const fields = new Set(rows.flatMap((row) => [row, ...pointsOf(row)].flatMap(namesOf)));
  const labels = new Set(rows.flatMap((row) => labelsOf(row).map(([label]) => label)));
  return (label) => {
    if (!fields.has(label)) return label;
    let column = `label_${label}`;
    while (fields.has(column) || labels.has(column)) column = `label_${column}`;
    return column;
  };
}

/** Each label is a column of its own; a series is a line for each of its points. */
function recordsOf(row: Fields, columnOf: (label: string) => string): Map<string, string>[] {
  const own = new Map<string, string>();
  for (const [name, value] of Object.entries(row)) {
    if (name.startsWith('_')) continue;
    if (name === 'labels' && value !== null && !Array.isArray(value))
      for (const [label, v] of labelsOf(row)) own.set(columnOf(label), v);
    else if (name !== 'points') own.set(name, text(value, name));
  }
  const points = pointsOf(row);
  if (points.length === 0) return [own];
  return points.map(
    (point) => new Map([...own, ...Object.entries(point).map(([name, v]) => [name, text(v, name)] as const)]),
  );
}

export function csv(answer: object): string {
  const rows = rowsOf(answer);
  const columnOf = labelColumns(rows);
  const records = rows.flatMap((row) => recordsOf(row, columnOf));
  const columns = [...new Set(records.flatMap((r) => [...r.keys()]))];
  if (columns.length === 0) return '';
  return [columns, ...records.map((r) => columns.map((c) => r.get(c) ?? ''))]
    .map((line) => `${line.map(cell).join(',')}\n`)
    .join('');
}
