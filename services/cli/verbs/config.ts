/** `muster config show` and `check`: settings by role, and what is wrong with them. */
import type { Table } from '../output/table.ts';

interface Told {
  readonly settings: readonly { section: string; setting: string; value: string; origin: string }[];
  readonly problems: readonly { section: string; what: string; why: string; fix: string }[];
}

/** `check` shows only what was said somewhere. */
export function configTable({ settings, problems }: Told, show: boolean, origin: boolean): Table {
  const shown = show ? settings : settings.filter((s) => s.origin !== 'default');
  const named = origin || !show;
  return {
    columns: [...['role', 'setting', 'value'], ...(named ? ['said by'] : [])].map((title) => ({ title })),
    rows: shown.map((s) => [s.section, s.setting, s.value, ...(named ? [s.origin] : [])]),
    notes: [
      ...problems.flatMap((p) => [`error: ${p.section}: ${p.what}`, `  why: ${p.why}`, `  fix: ${p.fix}`]),
      ...(problems.length === 0
        ? [show ? 'flags of a role come on top of these' : 'every file and variable is understood']
        : []),
    ],
  };
}
