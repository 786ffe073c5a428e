/**
 * The selector grammar, with columns in its errors:
 *
 *   selector = [ matcher { "," matcher } [ "," ] ]
 *   matcher  = name ( "=" | "!=" | "=~" | "!~" ) value          spaces may stand between the parts
 *   name     = letter or "_", then letters, digits, "_", ".", "-", "/"
 *   value    = "…" or '…', with \\ \" \' \n \t inside
 *
 * All matchers must hold. Regular expressions are RE2, match the whole value, and "." matches newlines too, as in
 * Prometheus. A label that is absent is the empty text.
 */
import { RE2JS } from 're2js';
import { reject } from './rejection.ts';

export type Operator = '=' | '!=' | '=~' | '!~';

export interface Matcher {
  readonly label: string;
  readonly operator: Operator;
  readonly value: string;
  /** Where the label stands, from 1. */
  readonly column: number;
}

export const selectorLimits = { characters: 8192, matchers: 32 } as const;

const escapes: Readonly<Record<string, string>> = { '\\': '\\', '"': '"', "'": "'", n: '\n', t: '\t' };
const nameStart = /[A-Za-z_]/;
const nameRest = /[A-Za-z0-9_./-]/;

/** Parses, or rejects with the column of what is wrong. */
export function parseSelector(selector: string): Matcher[] {
  let at = 0;
  const fail = (problem: string, column = at + 1): never => reject({ kind: 'bad-selector', selector, column, problem });
  if (selector.length > selectorLimits.characters)
    fail(`longer than ${selectorLimits.characters} characters`, selectorLimits.characters + 1);
  const space = (): void => {
    while (at < selector.length && /\s/.test(selector[at]!)) at++;
  };
  const found = (): string =>
    at < selector.length ? `found ${JSON.stringify(selector[at])}` : 'the selector ends here';
  const matchers: Matcher[] = [];
  for (space(); at < selector.length; space()) {
    if (matchers.length === selectorLimits.matchers) fail(`more than ${selectorLimits.matchers} conditions`);
    const start = at;
    if (!nameStart.test(selector[at]!)) fail(`expected a label name, ${found()}`);
    while (at < selector.length && nameRest.test(selector[at]!)) at++;
    const label = selector.slice(start, at);
    space();
    const operator = /^(?:=~|!=|!~|=)/.exec(selector.slice(at, at + 2))?.[0] as Operator | undefined;
    if (!operator) return fail(`expected =, !=, =~ or !~ after ${label}, ${found()}`);
    at += operator.length;
    space();
    const quote = selector[at];
    if (quote !== '"' && quote !== "'")
      return fail(`expected a value in quotes, as ${label}${operator}"…", ${found()}`);
    const valueStart = at++;
    let value = '';
    for (;;) {
      if (at >= selector.length) fail('this quote is not closed', valueStart + 1);
      const char = selector[at++]!;
      if (char === quote) break;
      if (char !== '\\') value += char;
      else {
        const escaped = escapes[selector[at] ?? ''];
        if (escaped === undefined) fail(`unknown escape; write a backslash as \\\\`, at);
        value += escaped;
        at++;
      }
    }
    if (operator === '=~' || operator === '!~') compilePattern(value, (problem) => fail(problem, valueStart + 1));
    matchers.push({ label, operator, value, column: start + 1 });
    space();
    if (at < selector.length && selector[at++] !== ',')
      fail(`expected a comma, found ${JSON.stringify(selector[at - 1])}`, at);
  }
  return matchers;
}

/** The canonical text: parseSelector gives the same matchers for it. */
export const printSelector = (matchers: readonly Pick<Matcher, 'label' | 'operator' | 'value'>[]): string =>
  matchers.map((m) => `${m.label}${m.operator}${quoteValue(m.value)}`).join(',');

export const quoteValue = (value: string): string =>
  `"${value.replace(/[\\"\n\t]/g, (c) => (c === '\n' ? '\\n' : c === '\t' ? '\\t' : `\\${c}`))}"`;

/** The condition on one label's value. */
export function matcherTest({ operator, value }: Matcher): (text: string) => boolean {
  switch (operator) {
    case '=':
      return (text) => text === value;
    case '!=':
      return (text) => text !== value;
    case '=~': {
      const pattern = compilePattern(value, () =>
        reject({ kind: 'bad-selector', selector: value, column: 1, problem: 'bad pattern' }),
      );
      return (text) => pattern.matches(text);
    }
    case '!~': {
      const test = matcherTest({ label: '', operator: '=~', value, column: 0 });
      return (text) => !test(text);
    }
  }
}

function compilePattern(pattern: string, fail: (problem: string) => never): RE2JS {
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL);
  } catch (error) {
    return fail(`not an RE2 regular expression: ${error instanceof Error ? error.message : String(error)}`);
  }
}
