/**
 * Techniques of counting in the kernel and beyond it, each beside the naive ways of doing the same, the ones that
 * articles print among them: ns per event, events lost or counted again, memory, what a killed process leaves.
 * Needs BPF privileges and redis-server.
 */
import { firstLine, short, type Figure } from './figure.ts';
import { atomics, hashTables, insertion } from './techniques/counting.ts';
import { batchingIn, batchingOut } from './techniques/reading.ts';
import { fleet, pins } from './techniques/recovery.ts';
import { bloomFilters, distinctCounts, heavyHitters } from './techniques/sketches.ts';
import type { Technique, Way } from './techniques/technique.ts';

/** In the order of the page. */
export const techniques: readonly Technique[] = [
  ...[hashTables, bloomFilters, heavyHitters, distinctCounts, batchingIn, batchingOut, atomics],
  ...[pins, insertion, fleet],
];

export interface Measured {
  readonly technique: Technique;
  readonly ways: readonly Way[];
}

export async function measureAll({ turns }: { readonly turns: number }): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const technique of techniques) {
    process.stderr.write(`${technique.name} …\n`);
    measured.push({ technique, ways: await technique.measure(turns) });
  }
  return measured;
}

const wrong = (way: Way): number => Math.abs(way.of - way.found);

/** Of each way of ours: what it lost, of which nothing is allowed, and its time and memory, beside each other way. */
export function figuresOf(measured: readonly Measured[]): Figure[] {
  return measured.flatMap(({ technique: { id }, ways }) => {
    const ours = ways.filter((w) => w.ours);
    const others = ways.filter((w) => !w.ours);
    return ours.flatMap((own) =>
      others.flatMap((other): Figure[] => {
        const beside = (name: string, unit: string, value: (w: Way) => number | undefined): Figure[] => {
          const [a, b] = [value(own), value(other)];
          if (a === undefined || b === undefined) return [];
          return [{ figure: `${id}_${name}`, unit, ours: a, peer: b, peerName: other.name }];
        };
        return [
          ...beside('lost', 'events', wrong).map((f) => ({ ...f, limit: 0 })),
          ...beside('ns', 'ns', (w) => w.ns),
          ...beside('memory', 'KiB', (w) => w.memoryBytes && w.memoryBytes / 1024),
        ];
      }),
    );
  });
}

const grouped = (n: number): string => Math.abs(n).toLocaleString('en');

/** What became of the events, in words. */
function fate({ found, of }: Way): string {
  if (found === of) return '0';
  if (found < of) return `${grouped(of - found)} (${short(((of - found) / of) * 100)} %)`;
  return `${grouped(found - of)} too many`;
}

function section({ technique, ways }: Measured): string {
  const head = ['way', 'ns per event', 'lost', 'kernel memory', 'remarks', 'after the reader’s death'];
  const rows = ways.map((w) => [
    w.ours ? `**${w.name}**` : w.name,
    w.ns === undefined ? '' : w.ns.toFixed(1),
    fate(w),
    w.memoryBytes === undefined ? '' : `${short(w.memoryBytes / 1024)} KiB`,
    w.note ?? '',
    w.recovery,
  ]);
  // A column that says nothing here is left out.
  const kept = head.map((_, i) => i === 0 || rows.some((r) => r[i] !== ''));
  const table = [head, head.map(() => '---'), ...rows].map((r) => `| ${r.filter((_, i) => kept[i]).join(' | ')} |`);
  return `### ${technique.name}\n\n${technique.task}\n\n${table.join('\n')}\n\n${technique.text}`;
}

/** The section of docs/techniques.md. */
export async function writeTechniques(measured: readonly Measured[]): Promise<void> {
  const { conditions, writeSection } = await import('./document.ts');
  const tools = [firstLine('clang', ['--version']), firstLine('redis-server', ['--version']).replace(/ sha=.*/, '')];
  const body = `## Each technique beside the naive way

Each table is one task, done by Muster’s way (bold) and by the usual ones, on the same hook (\`sys_enter\`) with the same known calls, in one run. Time is what the program adds to a call over an empty program, on one CPU, the ways taking turns: the median. _Lost_ is what is missing from the result, or in it more than once, of the calls that were made; ours may lose none, or the command fails. Programs: \`test/bench/kernel/ours.bpf.c\`, \`naive.bpf.c\`; “as printed” is the form that an article on these techniques has, made to compile.

${measured.map(section).join('\n\n')}

${conditions()} ${tools.join('; ')}.`;
  await writeSection('docs/techniques.md', 'What the techniques buy', 'techniques', body);
}
