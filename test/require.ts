/**
 * Skips a test that needs what this machine lacks, naming it; with MUSTER_REQUIRE_ALL=1 (continuous integration) a
 * skip is a failure, so that no test that must run goes missing unseen.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';

/** True when `present`; else the test is skipped (or fails), and its body must return. */
export function requireOrSkip(t: TestContext, capability: string, present: boolean): boolean {
  if (present) return true;
  assert.notEqual(process.env['MUSTER_REQUIRE_ALL'], '1', `this test must run here, and needs ${capability}`);
  t.skip(`needs ${capability}`);
  return false;
}
