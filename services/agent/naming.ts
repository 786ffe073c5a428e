/**
 * Between reading and publishing: rows that are to be defined wait, with all of their image, until the names of their
 * labels were looked up, so that a row is defined once and for good. Whoever looks up always answers, in seconds.
 */
import type { LineageImage } from './effects.ts';
import type { GenerationRows, LineageState } from './lineage-state.ts';
import type { Effects } from './agent-state.ts';
import type { NameWanted } from './labels/names.ts';

/** True when the generation's new rows wait for names now; `named` ends the wait. */
export function awaitNames(l: LineageState, g: GenerationRows, image: LineageImage, out: Effects): boolean {
  if (!l.namesNeeded.some((needed) => needed)) return false;
  const wanted = missingNames(l, g);
  if (wanted.length === 0) return false;
  l.naming = { generation: g, image };
  // Nothing is read meanwhile: the image's rows are the ones that were taken.
  l.readPending = true;
  out.add({ kind: 'look-up', directory: l.directory, probe: l.meta.probe, uuid: l.meta.uuid, wanted });
  return true;
}

function missingNames(l: LineageState, g: GenerationRows): NameWanted[] {
  const wanted = new Map<string, NameWanted>();
  g.tables.forEach((rows, t) => {
    const needed = l.namesNeeded[t];
    if (!needed) return;
    const keyBytes = rows.schema.keyWords * 8;
    const { defined } = g.sent[t]!;
    for (let row = 1; row <= rows.rowsIssued; row++) {
      if (rows.known[row] !== 1 || defined[row] === 1) continue;
      for (const name of needed(rows.keys, row * keyBytes))
        if (!l.names.has(name.kind, name.id)) wanted.set(`${name.kind} ${name.id}`, name);
    }
  });
  return [...wanted.values()];
}

/** Notes the answer; gives back what waited for it, if that is still of use. */
export function named(
  l: LineageState,
  wanted: readonly NameWanted[],
  names: readonly (string | undefined)[],
): { generation: GenerationRows; image: LineageImage } | undefined {
  l.names.note(wanted, names);
  const waited = l.naming;
  l.naming = undefined;
  l.readPending = false;
  return waited;
}
