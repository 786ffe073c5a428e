/** Laws of the selector grammar: parse ∘ print is the identity, and every error names a column of the text. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Rejected } from '../../services/query/answer/rejection.ts';
import { matcherTest, parseSelector, printSelector, type Operator } from '../../services/query/answer/selector.ts';

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_./-]{0,12}$/);
const literal = fc.record(
  { label: name, operator: fc.constantFrom<Operator>('=', '!='), value: fc.string({ unit: 'binary', maxLength: 20 }) },
  { noNullPrototype: true },
);
const pattern = fc.record(
  {
    label: name,
    operator: fc.constantFrom<Operator>('=~', '!~'),
    value: fc.constantFrom('web-.*', 'a|b', '', '[0-9]+', '(?i)x', '\\d\\.'),
  },
  { noNullPrototype: true },
);
const matchers = fc.array(fc.oneof(literal, pattern), { maxLength: 8 });

const columnOf = (selector: string): number | undefined => {
  try {
    parseSelector(selector);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof Rejected && error.rejection.kind === 'bad-selector');
    return error.rejection.column;
  }
};

test('what was printed parses to the same matchers', () => {
  fc.assert(
    fc.property(matchers, (wanted) => {
      assert.deepEqual(
        parseSelector(printSelector(wanted)).map(({ label, operator, value }) => ({ label, operator, value })),
        wanted,
      );
    }),
  );
});

test('any text parses or is rejected with a column of it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-z=~!",'\\ ]{0,20}$/)), (text) => {
      const column = columnOf(text);
      assert.ok(
        column === undefined || (column >= 1 && column <= text.length + 1),
        `${JSON.stringify(text)}: ${column}`,
      );
    }),
  );
});

test('!= is not =, !~ is not =~', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (value, text) => {
      const of = (operator: Operator, v: string) => matcherTest({ label: 'l', operator, value: v, column: 1 })(text);
      assert.notEqual(of('=', value), of('!=', value));
      assert.notEqual(of('=~', '[a-m].*'), of('!~', '[a-m].*'));
    }),
  );
});

test('columns point at what is wrong', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['', undefined],
    [' ', undefined],
    ['comm="nginx",', undefined],
    [`comm = 'it''s'`, 12],
    [`comm='a',host=~"b.*"`, undefined],
    ['comm', 5],
    ['comm=nginx', 6],
    ['comm="nginx', 6],
    ['comm=="x"', 6],
    ['comm="x" host="y"', 10],
    ['comm="x",,', 10],
    ['1comm="x"', 1],
    ['comm=~"("', 7],
    ['comm="a\\q"', 8],
    ['a="1",host~"x"', 11],
  ];
  for (const [selector, column] of cases) assert.equal(columnOf(selector), column, selector);
});

test('expressions match the whole value, newlines too, in linear time', () => {
  const of = (value: string) => matcherTest({ label: 'l', operator: '=~', value, column: 1 });
  assert.equal(of('web')('web-1'), false);
  assert.equal(of('web.*')('web\n1'), true);
  assert.equal(of('a|ab')('ab'), true);
  const start = performance.now();
  assert.equal(of('(a*)*b')('a'.repeat(2000)), false);
  assert.ok(performance.now() - start < 2000);
});
