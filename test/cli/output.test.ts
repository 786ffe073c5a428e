/** Tables, units, and the lines that a person copies. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { grpcurlLine } from '../../services/cli/output/grpcurl.ts';
import { isIncomplete } from '../../services/cli/output/coverage.ts';
import { renderNotes, renderRows } from '../../services/cli/output/table.ts';
import { amount, bar, grouped, inUnit, perSecond, sparkline } from '../../services/cli/output/units.ts';

const plain = { color: false };

describe('table', () => {
  const table = {
    columns: [{ title: 'comm' }, { title: 'calls', right: true }],
    rows: [
      ['nginx', '5,000,000'],
      ['a', '7'],
    ],
    notes: ['total 5,000,007'],
  };

  test('aligns, numbers to the right', () => {
    assert.equal(renderRows(table, plain), 'comm       calls\nnginx  5,000,000\na              7\n');
    assert.equal(renderNotes(table, plain), 'total 5,000,007\n');
  });

  test('colours only when asked', () => {
    assert.ok(renderRows(table, { color: true }).startsWith('\u001b[1mcomm'));
    assert.ok(!renderRows(table, plain).includes('\u001b'));
  });

  test('a name cannot write to the terminal', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const text =
          renderRows({ columns: [{ title: 'x' }], rows: [[a]], notes: [] }, plain) +
          renderNotes({ columns: [], rows: [], notes: [b] }, plain);
        assert.doesNotMatch(text.replaceAll('\n', ''), /\p{Cc}/u);
        assert.equal(text.split('\n').length, 4);
      }),
    );
  });

  test('no rows, no titles', () => assert.equal(renderRows({ ...table, rows: [] }, plain), ''));
});

describe('units', () => {
  const cases: [unknown, unknown][] = [
    [grouped('9007199254740993'), '9,007,199,254,740,993'],
    [grouped('-1234'), '-1,234'],
    [grouped(undefined), '0'],
    [perSecond(83333.3), '83.3k/s'],
    [perSecond(0), '0/s'],
    [perSecond(0.05), '0.050/s'],
    [inUnit('1500', 'ns'), '1.50 us'],
    [inUnit(250_000_000, 'ns'), '250 ms'],
    [inUnit('1048576', 'bytes'), '1 MiB'],
    [inUnit(12.345, 'calls'), '12.3'],
    [amount('12345', 'calls'), '12,345'],
    [sparkline([0, 1, 8]), ' ▂█'],
    [sparkline([]), ''],
    [bar(1, 1000, 10), '█'],
    [bar(1000, 1000, 10), '██████████'],
    [bar(0, 1000, 10), ''],
  ];
  for (const [found, expected] of cases) test(String(expected) || 'nothing', () => assert.equal(found, expected));
});

test('a grpcurl line survives a shell, whatever the request says', () => {
  const texts = [`comm="it's"`, 'a\\b', '$(id)', '"', "''", '`x`'];
  for (const selector of texts) {
    const line = grpcurlLine('127.0.0.1:50151', 'Query', { selector, groupBy: ['comm'] });
    const words = execFileSync('sh', ['-c', `printf '%s\\n' ${line.replace(/^grpcurl /, '')}`], {
      encoding: 'utf8',
    }).split('\n');
    assert.deepEqual(JSON.parse(words[2]!), { selector, groupBy: ['comm'] });
    assert.deepEqual(words.slice(3, 5), ['127.0.0.1:50151', 'muster.v1.QueryService/Query']);
  }
});

test('incomplete: stale hosts or unknown spans', () => {
  assert.equal(isIncomplete({}), false);
  assert.equal(isIncomplete({ coverage: { complete: true, unknown: [] } }), false);
  assert.equal(isIncomplete({ coverage: { complete: false, unknown: [] } }), true);
  assert.equal(isIncomplete({ coverage: { complete: true, unknown: [{}] } }), true);
});
