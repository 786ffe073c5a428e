/**
 * The rules of services/README.md, held: the import table, purity, names, lengths, no machine's paths in the
 * repository. Each rule is also shown to fail on a small bad source, so that none of them can go blind.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkService, checkText, describe, type Source, type Violation } from './tidy/rules.ts';

const root = join(import.meta.dirname, '..');
const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
const isText = (path: string): boolean => !/\.(png|gif|hex|bin|o)$/.test(path);
const sources: Source[] = tracked
  .filter((path) => isText(path) && statSync(join(root, path), { throwIfNoEntry: false })?.isFile())
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

const expectNone = (found: readonly Violation[]): void => {
  assert.equal(found.length, 0, `\n${found.map(describe).join('\n')}\n`);
};

test('services keep the import table, purity and the glossary', () => {
  const services = sources.filter((s) => s.path.startsWith('services/') && s.path.endsWith('.ts'));
  assert.ok(services.length > 10, 'the sources were found');
  expectNone(services.flatMap(checkService));
});

test('files are short, well named and free of machine paths', () => {
  expectNone(sources.flatMap(checkText));
});

/** path, source, and the rule with a word of its message; undefined: nothing to complain about. */
const cases: readonly (readonly [path: string, text: string, expected: string | undefined])[] = [
  ['services/shared/runtime/a.ts', `import { x } from '../contract/batch.ts';`, 'import: nothing outside itself'],
  ['services/shared/runtime/a.ts', `import { z } from 'zod';`, 'import: nothing outside itself'],
  ['services/shared/algebra/a.ts', `import { MusterError } from '../runtime/errors.ts';`, 'import: runtime/assert'],
  ['services/shared/algebra/a.ts', `import { assert } from '../runtime/assert.ts';`, undefined],
  ['services/shared/contract/a.ts', `import { Batch } from './gen/muster/v1/batch.ts';`, undefined],
  ['services/shared/contract/a.ts', `import { x } from '../adapters/pino-log.ts';`, 'import: shared/contract imports'],
  [
    'services/agent/batch/a.ts',
    `import { Batch } from '../../shared/contract/gen/muster/v1/batch.ts';`,
    'import: no further',
  ],
  [
    'services/agent/batch/a.ts',
    `export type { Batch } from '../../shared/contract/gen/muster/v1/batch.ts';`,
    'import: no further',
  ],
  ['services/agent/batch/a.ts', `import type { Rows } from '../kernel/rows.ts';`, undefined],
  ['services/agent/batch/a.ts', `import { type Rows } from '../kernel/rows.ts';`, undefined],
  ['services/agent/batch/a.ts', `import { rows } from '../kernel/rows.ts';`, 'import: import type'],
  ['services/agent/kernel/a.ts', `import type { Part } from '../batch/part.ts';`, 'import: never import a later stage'],
  ['services/agent/batch/a.ts', `import { agent } from '../agent.ts';`, 'import: puts the stages together'],
  [
    'services/agent/batch/a.ts',
    `import type { Merge } from '../../aggregator/merge/merge.ts';`,
    'import: never import each other',
  ],
  ['services/cli/verbs/a.ts', `import { table } from '../output/table.ts';`, undefined],
  ['services/cli/output/a.ts', `import { top } from '../verbs/top.ts';`, 'import: never import a later stage'],
  ['services/cli/verbs/a.ts', `const m = await import('../../agent/main.ts');`, 'import: never import each other'],
  ['services/agent/batch/a.ts', `import { log } from '../../shared/adapters/pino-log.ts';`, 'import: asks for a port'],
  ['services/agent/agent.ts', `import { x } from './adapters/x.ts';`, 'import: asks for a port'],
  [
    'services/agent/agent.ts',
    `import { rows } from './kernel/rows.ts';\nimport { part } from './batch/part.ts';`,
    undefined,
  ],
  ['services/agent/agent.ts', `import { main } from './main.ts';`, 'import: nobody imports main'],
  ['services/agent/agent.ts', `import { fake } from '../../test/simulation/fake.ts';`, 'import: nobody imports test'],
  ['services/agent/agent.ts', `import { rows } from './kernel/rows';`, 'import: write the extension'],
  ['services/agent/agent.ts', `import { readFileSync } from 'node:fs';`, 'import: no I/O'],
  ['services/agent/agent.ts', `import { connect } from 'nats';`, 'import: belong to adapters'],
  ['services/agent/misc-stage/a.ts', `export const a = 1;`, 'place: no stage of agent'],
  [
    'services/agent/adapters/x.ts',
    `import { connect } from 'nats';\nimport Redis from 'ioredis';`,
    'import: one technology',
  ],
  [
    'services/agent/adapters/x.ts',
    `import { connect } from 'nats';\nimport { readFileSync } from 'node:fs';`,
    undefined,
  ],
  ['services/agent/adapters/x.ts', `import { agent } from '../agent.ts';`, 'import: an adapter imports'],
  ['services/agent/main.ts', `import { x } from './adapters/x.ts';\nconsole.log(process.argv, Date.now());`, undefined],
  ['services/agent/agent.ts', `export const now = Date.now();`, 'pure: Date.now'],
  ['services/agent/agent.ts', `export const now = new Date();`, 'pure: new Date()'],
  ['services/agent/agent.ts', `export const then = new Date(5);`, undefined],
  ['services/agent/agent.ts', `export const now = performance.now();`, 'pure: performance.now'],
  ['services/agent/agent.ts', `export const n = Math.random();`, 'pure: Math.random'],
  ['services/agent/agent.ts', `export const id = crypto.randomUUID();`, 'pure: crypto.randomUUID'],
  ['services/agent/agent.ts', `setTimeout(() => {}, 5);`, 'pure: asks the driver'],
  ['services/agent/agent.ts', `setInterval(() => {}, 5);`, 'pure: asks the driver'],
  ['services/agent/agent.ts', `setImmediate(() => {});`, 'pure: the driver orders'],
  ['services/agent/agent.ts', `queueMicrotask(() => {});`, 'pure: the driver orders'],
  ['services/agent/agent.ts', `export const a = process.env['A'];`, 'pure: main.ts reads'],
  ['services/agent/agent.ts', `console.log('a');`, 'pure: Log port'],
  ['services/agent/agent.ts', `export const a = globalThis.process;`, 'pure: globalThis.process'],
  [
    'services/agent/agent.ts',
    `/* Date.now() */ export const process = 'console.log'; export const o = { fetch: 1 }.fetch;`,
    undefined,
  ],
  ['services/agent/agent.ts', `export const lastSnapshot = 1;`, 'word: checkpoint'],
  ['services/agent/agent.ts', `export interface State { epoch: number }`, 'word: generation'],
  ['services/nothing.ts', `export const a = 1;`, 'place: no place'],
  ['services/agent/agent.ts', 'a\n'.repeat(301), 'length: at most 300'],
  ['bpf/big.bpf.c', 'a\n'.repeat(301), 'length: at most 300'],
  ['bpf/small.bpf.c', 'a\n'.repeat(300), undefined],
  ['services/agent/agentCore.ts', '', 'name: kebab-case'],
  ['services/agent/batch/utils.ts', '', 'name: stage or concept'],
  ['README.md', `cd ${'/home'}/somebody/muster`, 'machine: a path of one machine'],
  ['deploy/setup.sh', `export HOME=${'/root'}/cache`, 'machine: a path of one machine'],
  ['.npmrc', `registry=https://${'registry'}.example.org/`, `machine: a registry's address`],
  ['package-lock.json', `      "resolved": "x.tgz",`, 'machine: drop it'],
  ['services/agent/agent.ts', `// ${'TO' + 'DO'} finish`, 'unfinished: finish it'],
];

test('each rule fails on a source that breaks it, and on nothing else', () => {
  for (const [path, text, expected] of cases) {
    const found = [
      ...checkText({ path, text }),
      ...(path.startsWith('services/') && text.length < 400 ? checkService({ path, text }) : []),
    ];
    const shown = found.map((v) => `${v.rule}: ${v.message}`);
    const name = `${path}: ${text.slice(0, 80)} → ${JSON.stringify(shown)}`;
    if (expected === undefined) assert.deepEqual(shown, [], name);
    else {
      const [rule, word] = expected.split(': ') as [string, string];
      assert.ok(
        shown.some((s) => s.startsWith(`${rule}:`) && s.includes(word)),
        name,
      );
    }
  }
});
