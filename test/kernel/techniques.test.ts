/** The programs that docs/techniques.md compares: each loads and attaches, and the page has each technique. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beyond } from '../bench/figure.ts';
import { figuresOf, techniques } from '../bench/techniques.ts';
import { Loaded } from '../bench/techniques/form.ts';
import type { Way } from '../bench/techniques/technique.ts';
import { checkout, requireBpf } from './probe.ts';

test('each technique has our way and another, and every program loads', (t) => {
  if (!requireBpf(t)) return;
  const ids = techniques.map((technique) => technique.id);
  assert.equal(new Set(ids).size, ids.length);
  for (const { id, forms } of techniques) {
    if (forms.length === 0) continue; // ways that are processes
    assert.ok(forms.some((f) => f.ours) && forms.some((f) => !f.ours), id);
    assert.equal(new Set(forms.map((f) => f.name)).size, forms.length, `${id}: names tell forms apart`);
    for (const form of forms) {
      const loaded = Loaded.load(form);
      try {
        assert.ok(loaded.memoryBytes() > 0, `${id}: ${form.name}`);
      } finally {
        loaded.close();
      }
    }
  }
});

test('the page has each technique with its figures', () => {
  const page = readFileSync(join(checkout, 'docs/techniques.md'), 'utf8');
  for (const { name, forms } of techniques) {
    assert.ok(page.includes(`### ${name}\n`), name);
    for (const form of forms) assert.ok(page.includes(form.ours ? `**${form.name}**` : `| ${form.name} `), form.name);
  }
});

test('one lost event of ours is beyond the limit, however many others lose', () => {
  const [technique] = techniques;
  const way = (ours: boolean, found: number): Way => ({ name: 'a way', ours, found, of: 10, recovery: '' });
  const figures = (found: number) => figuresOf([{ technique: technique!, ways: [way(true, found), way(false, 3)] }]);
  assert.deepEqual(figures(10).filter(beyond), []);
  assert.equal(figures(9).filter(beyond).length, 1);
  assert.equal(figures(11).filter(beyond).length, 1, 'counted again');
});
