/**
 * The rules of services/README.md as functions of (path, text) → violations: who may import whom, what a pure file
 * may not touch, how long a file may be, which words are taken. Pure, so that each rule is shown to fail on a small
 * bad source (test/tidy.test.ts).
 */
import ts from 'typescript';

import { isPure, placeOf, refuseImport, stages, type Place } from './import-table.ts';
import type { Source, Violation } from './text-rules.ts';

export { checkText, describe, type Source, type Violation } from './text-rules.ts';

/** Packages without I/O, clock or randomness, which pure files may use. */
const purePackages = new Set(['zod', 're2js']);
/** Packages that are one technology: an adapter may import several of one family. */
const families = [
  ['@2060.io/ref-napi', 'ffi-napi'],
  ['@grpc/grpc-js', '@grpc/proto-loader', 'grpc-health-check'],
  ['zod'],
];

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

const parse = (s: Source): ts.SourceFile => ts.createSourceFile(s.path, s.text, ts.ScriptTarget.ES2023, true);
const lineOf = (file: ts.SourceFile, node: ts.Node): number =>
  file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;

function importsOf(file: ts.SourceFile): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Expression | undefined, typeOnly: boolean): void => {
    if (node && ts.isStringLiteral(node)) found.push({ specifier: node.text, typeOnly, line: lineOf(file, node) });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const named = node.importClause?.namedBindings;
      const allTypes =
        !!named &&
        ts.isNamedImports(named) &&
        !node.importClause?.name &&
        named.elements.length > 0 &&
        named.elements.every((e) => e.isTypeOnly);
      add(node.moduleSpecifier, (node.importClause?.isTypeOnly ?? false) || allTypes);
    } else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal as ts.Expression, true);
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

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

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
      if (isPure(from.kind))
        bad(
          line,
          `${specifier}: a pure file has no I/O: take a value or a port, and let main.ts or adapters/ use node:`,
        );
    } else {
      const name = packageOf(specifier);
      if (isPure(from.kind) && !purePackages.has(name) && !typeOnly)
        bad(line, `${name}: packages belong to adapters/<technology>.ts behind a port`);
      if (isPure(from.kind) && (from.kind === 'runtime' || from.kind === 'algebra'))
        bad(line, `${name}: shared/${from.kind} imports nothing outside itself`);
      if (!typeOnly) packages.add(name);
    }
  }
  if (from.kind === 'adapter') {
    const technologies = new Set([...packages].map((p) => families.find((f) => f.includes(p))?.[0] ?? p));
    technologies.delete('zod');
    if (technologies.size > 1)
      bad(1, `an adapter has one technology, not ${[...technologies].join(' and ')}: split the file`);
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
    void found.push({
      path: file.fileName,
      line: lineOf(file, node),
      rule: 'pure',
      message: `${name} in a pure file: ${instead}`,
    });
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
          if (name && Object.hasOwn(banned, name))
            bad(node, member ? `${node.text}.${member}` : node.text, banned[name]!);
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
    const name =
      ts.isVariableDeclaration(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isPropertySignature(node) ||
      ts.isPropertyDeclaration(node) ||
      ts.isMethodDeclaration(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      ts.isClassDeclaration(node)
        ? node.name
        : undefined;
    if (name && ts.isIdentifier(name)) {
      for (const [word, instead] of words) {
        if (word.test(name.text))
          found.push({
            path: file.fileName,
            line: lineOf(file, name),
            rule: 'word',
            message: `${name.text}: say ${instead}`,
          });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** All rules for one file of services/. */
export function checkService(s: Source): Violation[] {
  const place = placeOf(s.path);
  if (place.kind === 'generated') return [];
  if (place.kind === 'outside')
    return [{ path: s.path, line: 1, rule: 'place', message: 'no place of the import table' }];
  const file = parse(s);
  const found = [...checkImports(file, place), ...checkWords(file)];
  if (isPure(place.kind)) found.push(...checkPurity(file));
  if (place.kind === 'stage' && !(stages[place.service] ?? []).includes(place.stage)) {
    found.push({
      path: s.path,
      line: 1,
      rule: 'place',
      message: `${place.stage} is no stage of ${place.service}: add it to test/tidy/import-table.ts in the order of the path`,
    });
  }
  return found;
}
