/** Rules for any tracked text: length, file names, machine paths, registries, unfinished work. */

export interface Source {
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

export const linesMax = 300;

/** Rules for every text file that is tracked: length, file names, machine paths, registries. */
export function checkText(s: Source): Violation[] {
  const found: Violation[] = [];
  const bad = (line: number, rule: string, message: string): void =>
    void found.push({ path: s.path, line, rule, message });
  const lines = s.text.split('\n');
  if (/\.(ts|c|h)$/.test(s.path) && !s.path.includes('/gen/') && lines.length - 1 > linesMax) {
    bad(linesMax + 1, 'length', `${lines.length - 1} lines: at most ${linesMax}; one concept a file`);
  }
  const name = s.path.split('/').at(-1)!;
  if (
    /^(services|test)\/.*\.ts$/.test(s.path) &&
    !s.path.includes('/gen/') &&
    !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.ts$/.test(name)
  ) {
    bad(1, 'name', `${name}: files are kebab-case`);
  }
  if (/^(utils?|helpers?|common|misc)\.ts$/.test(name)) bad(1, 'name', `${name}: name a file for its stage or concept`);
  const machine = /(?<![\w.$}~*-])\/(?:home|work|root|Users)\/[\w.-]+/;
  const registry = /https?:\/\/[\w.-]*(?:registry|artifactory|verdaccio|nexus)[\w.-]*/i;
  lines.forEach((line, i) => {
    if (machine.test(line)) bad(i + 1, 'machine', `a path of one machine: ${machine.exec(line)![0]}`);
    if (registry.test(line)) bad(i + 1, 'machine', `a registry's address: ${registry.exec(line)![0]}`);
    if (name === 'package-lock.json' && /^\s*"resolved":/.test(line))
      bad(i + 1, 'machine', 'resolved names a registry: drop it from the lock file');
    if (
      /(?:\/\/|\/\*|\*|#|<!--) ?(?:TODO|FIXME|XXX)\b/.test(line) &&
      /^(services|bpf|deploy|proto|docs)\//.test(s.path)
    )
      bad(i + 1, 'unfinished', 'finish it, or say in the documents what is not covered');
  });
  return found;
}

export const describe = (v: Violation): string => `${v.path}:${v.line}: [${v.rule}] ${v.message}`;
