/** Tables for a terminal: columns aligned, numbers to the right, notes below. Widths count code points. */
export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  /** Lines below the rows that are data too. */
  readonly picture?: readonly string[];
  /** Lines after the table: coverage and remarks. They go to stderr. */
  readonly notes: readonly string[];
}

export interface Style {
  /** Bold titles and dim notes. */
  readonly color: boolean;
}

/** A control character, which a comm may hold, must not reach a terminal. */
const shown = (cell: string): string => cell.replace(/\p{Cc}/gu, '·');
const widthOf = (cell: string): number => [...cell].length;

/** Lines that each end in a newline; nothing when there are no rows. */
export function renderRows(table: Table, style: Style): string {
  if (table.rows.length === 0) return '';
  const rows = table.rows.map((row) => row.map(shown));
  const widths = table.columns.map((column, i) =>
    rows.reduce((width, row) => Math.max(width, widthOf(row[i] ?? '')), widthOf(column.title)),
  );
  const line = (cells: readonly string[]): string =>
    table.columns
      .map((column, i) => {
        const cell = cells[i] ?? '';
        const space = ' '.repeat(widths[i]! - widthOf(cell));
        return column.right ? space + cell : cell + space;
      })
      .join('  ')
      .trimEnd();
  const title = line(table.columns.map((c) => c.title));
  return [style.color ? `\u001b[1m${title}\u001b[0m` : title, ...rows.map(line), ...(table.picture ?? [])]
    .map((text) => `${text}\n`)
    .join('');
}

export function renderNotes(table: Table, style: Style): string {
  return table.notes.map((note) => (style.color ? `\u001b[2m${shown(note)}\u001b[0m\n` : `${shown(note)}\n`)).join('');
}
