/**
 * The rules of services/README.md as functions of (path, text) → violations: who may import whom, what a pure file
 * may not touch, how long a file may be, which words are taken. Pure, so that each rule is shown to fail on a small
 * bad source (test/tidy.test.ts).
 */
import ts from 'typescript';

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

/** Stages in the order in which a count passes through them. A folder that is not listed here is a violation. */
export const stages: Readonly<Record<string, readonly string[]>> = {
  loader: ['object', 'load', 'attach', 'pin', 'keeper'],
  agent: ['kernel', 'labels', 'batch', 'bus'],
  aggregator: ['bus', 'merge', 'checkpoint'],
  query: ['checkpoint', 'answer'],
  cli: ['output', 'verbs', 'up', 'doctor'],
};

/** Services whose folders are layers of tools instead of stages of a path: a layer may use the ones before it. */
const layered = new Set(['cli']);

/** Packages without I/O, clock or randomness, which pure files may use. */
const purePackages = new Set(['zod', 're2js']);
/** Packages that are one technology: an adapter may import several of one family. */
const families = [['@2060.io/ref-napi', 'ffi-napi'], ['@grpc/grpc-js', '@grpc/proto-loader', 'grpc-health-check'], ['zod']];

export type Kind = 'runtime' | 'algebra' | 'contract' | 'generated' | 'adapter' | 'main' | 'root' | 'stage' | 'config' | 'outside';
export interface Place {
  readonly kind: Kind;
  readonly service: string;
  /** Folder below the service; '' for its root. */
  readonly stage: string;
}

/** What a path of the repository is, in the import table. */
export function placeOf(path: string): Place {
  const parts = path.split('/');
  if (parts[0] !== 'services' || parts.length < 3 || !path.endsWith('.ts')) return { kind: 'outside', service: '', stage: '' };
  const service = parts[1]!;
  const stage = parts.length > 3 ? parts[2]! : '';
  if (service === 'shared') {
    if (path.startsWith('services/shared/contract/gen/')) return { kind: 'generated', service, stage };
    if (stage === 'adapters') return { kind: 'adapter', service, stage };
    if (stage === 'runtime' || stage === 'algebra' || stage === 'contract') return { kind: stage, service, stage };
    return { kind: 'outside', service, stage };
  }
  if (stage === 'adapters') return { kind: 'adapter', service, stage };
  if (stage !== '') return { kind: 'stage', service, stage };
  if (parts[2] === 'main.ts') return { kind: 'main', service, stage };
  return { kind: parts[2] === 'config.ts' ? 'config' : 'root', service, stage };
}

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

const parse = (s: Source): ts.SourceFile => ts.createSourceFile(s.path, s.text, ts.ScriptTarget.ES2023, true);
const lineOf = (file: ts.SourceFile, node: ts.Node): number => file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;

function importsOf(file: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Expression | undefined, typeOnly: boolean): void => {
    if (node && ts.isStringLiteral(node)) found.push({ specifier: node.text, typeOnly, line: lineOf(file, node) });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const named = node.importClause?.namedBindings;
      const allTypes =
        !!named && ts.isNamedImports(named) && !node.importClause?.name && named.elements.length > 0 && named.elements.every((e) => e.isTypeOnly);
      add(node.moduleSpecifier, (node.importClause?.isTypeOnly ?? false) || allTypes);
    } else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal as ts.Expression, true);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** Joins a relative specifier to the importing file's path. */
function resolve(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const word of specifier.split('/')) {
    if (word === '..') parts.pop();
    else if (word !== '.') parts.push(word);
  }
  return parts.join('/');
}

const packageOf = (specifier: string): string => specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');

/** The import table. Undefined when `from` may import `to`, else why not. */
export function refuseImport(from: Place, to: Place, toPath: string, typeOnly: boolean): string | undefined {
  if (toPath.startsWith('test/')) return 'nobody imports test/';
  if (to.kind === 'outside') return `${toPath} is no place of the import table`;
  if (to.kind === 'generated') return from.kind === 'contract' ? undefined : 'generated types go no further than shared/contract: export what you need there';
  if (to.service !== 'shared' && to.service !== from.service) return `services never import each other: move what both need to services/shared`;
  switch (from.kind) {
    case 'runtime':
      return to.kind === 'runtime' ? undefined : 'shared/runtime imports nothing outside itself';
    case 'algebra':
      return to.kind === 'algebra' || toPath === 'services/shared/runtime/assert.ts' ? undefined : 'shared/algebra imports runtime/assert.ts alone';
    case 'contract':
      return ['contract', 'algebra', 'runtime'].includes(to.kind) ? undefined : 'shared/contract imports algebra, runtime and generated types';
    case 'stage':
    case 'config': {
      if (to.kind === 'runtime' || to.kind === 'algebra' || to.kind === 'contract') return undefined;
      if (to.kind === 'adapter') return 'a pure file asks for a port (shared/runtime/ports); main.ts hands it the adapter';
      if (to.kind === 'config' && typeOnly) return undefined;
      if (to.kind !== 'stage') return `a stage may not import ${toPath}: <service>.ts puts the stages together`;
      if (to.stage === from.stage) return undefined;
      const order = stages[from.service] ?? [];
      if (order.indexOf(to.stage) > order.indexOf(from.stage)) return `stage ${from.stage} comes before ${to.stage}: never import a later stage`;
      return typeOnly || layered.has(from.service) ? undefined : `import types alone (import type) of the earlier stage ${to.stage}`;
    }
    case 'root':
      if (to.kind === 'adapter') return 'a pure file asks for a port (shared/runtime/ports); main.ts hands it the adapter';
      return to.kind === 'main' ? 'nobody imports main.ts' : undefined;
    case 'adapter':
      if (to.kind === 'main') return 'nobody imports main.ts';
      if (to.service === 'shared' || to.kind === 'adapter') return undefined;
      return typeOnly ? undefined : 'an adapter imports its port, shared/, one package and node:, and types of its service';
    case 'main':
      return undefined;
    default:
      return `${from.kind} is no importer of the table`;
  }
}

export const isPure = (kind: Kind): boolean => kind !== 'adapter' && kind !== 'main' && kind !== 'outside' && kind !== 'generated';

function checkImports(file: ts.SourceFile, from: Place): Violation[] {
  const path = file.fileName;
  const found: Violation[] = [];
  const bad = (line: number, message: string): void => void found.push({ path, line, rule: 'import', message });
  const packages = new Set<string>();
  for (const { specifier, typeOnly, line } of importsOf(file)) {
    if (specifier.startsWith('.')) {
      if (!specifier.endsWith('.ts')) bad(line, `write the extension: '${specifier}' → .ts`);
      const target = resolve(path, specifier);
      const why = refuseImport(from, placeOf(target), target, typeOnly);
      if (why) bad(line, `${specifier}: ${why}`);
    } else if (specifier.startsWith('node:')) {
      if (isPure(from.kind)) bad(line, `${specifier}: a pure file has no I/O: take a value or a port, and let main.ts or adapters/ use node:`);
    } else {
      const name = packageOf(specifier);
      if (isPure(from.kind) && !purePackages.has(name) && !typeOnly) bad(line, `${name}: packages belong to adapters/<technology>.ts behind a port`);
      if (isPure(from.kind) && (from.kind === 'runtime' || from.kind === 'algebra')) bad(line, `${name}: shared/${from.kind} imports nothing outside itself`);
      if (!typeOnly) packages.add(name);
    }
  }
  if (from.kind === 'adapter') {
    const technologies = new Set([...packages].map((p) => families.find((f) => f.includes(p))?.[0] ?? p));
    technologies.delete('zod');
    if (technologies.size > 1) bad(1, `an adapter has one technology, not ${[...technologies].join(' and ')}: split the file`);
  }
  return found;
}

/** Banned in pure files, and what to use instead. A name with a dot is a property of a global. */
const banned: Readonly<Record<string, string>> = {
  'Date.now': 'take nowMs/nowNs as a parameter or in the event',
  'performance.now': 'take nowMs/nowNs as a parameter or in the event',
  'Math.random': 'take the id or a number from the driver, in the event',
  'crypto.*': 'take the id or a number from the driver, in the event',
  setTimeout: 'return an effect that asks the driver for a tick',
  setInterval: 'return an effect that asks the driver for a tick',
  setImmediate: 'return effects; the driver orders them',
  queueMicrotask: 'return effects; the driver orders them',
  'process.*': 'main.ts reads the environment and hands values in (settings.ts)',
  'console.*': 'use the Log port (shared/runtime/log.ts) or return a value',
  'globalThis.*': 'take what you need as a parameter',
  fetch: 'use a port (shared/runtime/ports)',
  require: 'use import',
};

function checkPurity(file: ts.SourceFile): Violation[] {
  const found: Violation[] = [];
  const bad = (node: ts.Node, name: string, instead: string): void =>
    void found.push({ path: file.fileName, line: lineOf(file, node), rule: 'pure', message: `${name} in a pure file: ${instead}` });
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) {
      const parent = node.parent;
      const isMember =
        (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
        (ts.isPropertyAssignment(parent) && parent.name === node) ||
        ts.isPropertySignature(parent) ||
        ts.isMethodSignature(parent) ||
        ts.isMethodDeclaration(parent) ||
        ts.isPropertyDeclaration(parent);
      if (!isMember) {
        const member = ts.isPropertyAccessExpression(parent) && parent.expression === node ? parent.name.text : '';
        for (const name of [node.text, member && `${node.text}.${member}`, member && `${node.text}.*`]) {
          if (name && Object.hasOwn(banned, name)) bad(node, member ? `${node.text}.${member}` : node.text, banned[name]!);
        }
        if (node.text === 'Date' && ts.isNewExpression(parent) && (parent.arguments?.length ?? 0) === 0) {
          bad(node, 'new Date()', banned['Date.now']!);
        }
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** Words of the glossary that have another name here, as parts of declared names in the sources of services. */
const words: readonly (readonly [RegExp, string])[] = [
  [/snapshot/i, 'checkpoint (durable state) or image (a copy of kernel memory)'],
  [/epoch/i, 'generation'],
  [/^utils?$|^helpers?$/i, 'a name that says what it does'],
];

function checkWords(file: ts.SourceFile): Violation[] {
  const found: Violation[] = [];
  const visit = (node: ts.Node): void => {
    const name = ts.isVariableDeclaration(node) || ts.isFunctionDeclaration(node) || ts.isParameter(node) || ts.isPropertySignature(node) ||
      ts.isPropertyDeclaration(node) || ts.isMethodDeclaration(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) ||
      ts.isClassDeclaration(node) ? node.name : undefined;
    if (name && ts.isIdentifier(name)) {
      for (const [word, instead] of words) {
        if (word.test(name.text)) found.push({ path: file.fileName, line: lineOf(file, name), rule: 'word', message: `${name.text}: say ${instead}` });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

export const linesMax = 300;

/** Rules for every text file that is tracked: length, file names, machine paths, registries. */
export function checkText(s: Source): Violation[] {
  const found: Violation[] = [];
  const bad = (line: number, rule: string, message: string): void => void found.push({ path: s.path, line, rule, message });
  const lines = s.text.split('\n');
  if (/\.(ts|c|h)$/.test(s.path) && !s.path.includes('/gen/') && lines.length - 1 > linesMax) {
    bad(linesMax + 1, 'length', `${lines.length - 1} lines: at most ${linesMax}; one concept a file`);
  }
  const name = s.path.split('/').at(-1)!;
  if (/^(services|test)\/.*\.ts$/.test(s.path) && !s.path.includes('/gen/') && !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.ts$/.test(name)) {
    bad(1, 'name', `${name}: files are kebab-case`);
  }
  if (/^(utils?|helpers?|common|misc)\.ts$/.test(name)) bad(1, 'name', `${name}: name a file for its stage or concept`);
  const machine = /(?<![\w.$}~*-])\/(?:home|work|root|Users)\/[\w.-]+/;
  const registry = /https?:\/\/[\w.-]*(?:registry|artifactory|verdaccio|nexus)[\w.-]*/i;
  lines.forEach((line, i) => {
    if (machine.test(line)) bad(i + 1, 'machine', `a path of one machine: ${machine.exec(line)![0]}`);
    if (registry.test(line)) bad(i + 1, 'machine', `a registry's address: ${registry.exec(line)![0]}`);
    if (name === 'package-lock.json' && /^\s*"resolved":/.test(line)) bad(i + 1, 'machine', 'resolved names a registry: drop it from the lock file');
    if (/(?:\/\/|\/\*|\*|#|<!--) ?(?:TODO|FIXME|XXX)\b/.test(line) && /^(services|bpf|deploy|proto|docs)\//.test(s.path)) bad(i + 1, 'unfinished', 'finish it, or say in the documents what is not covered');
  });
  return found;
}

/** All rules for one file of services/. */
export function checkService(s: Source): Violation[] {
  const place = placeOf(s.path);
  if (place.kind === 'generated') return [];
  if (place.kind === 'outside') return [{ path: s.path, line: 1, rule: 'place', message: 'no place of the import table' }];
  const file = parse(s);
  const found = [...checkImports(file, place), ...checkWords(file)];
  if (isPure(place.kind)) found.push(...checkPurity(file));
  if (place.kind === 'stage' && !(stages[place.service] ?? []).includes(place.stage)) {
    found.push({ path: s.path, line: 1, rule: 'place', message: `${place.stage} is no stage of ${place.service}: add it to test/tidy/rules.ts in the order of the path` });
  }
  return found;
}

export const describe = (v: Violation): string => `${v.path}:${v.line}: [${v.rule}] ${v.message}`;
