/** Names for what is wanted: the host's from /proc and /sys, stacks from the keeper, which alone may see symbols. */
import type { AgentEffect } from '../effects.ts';
import type { NameKind } from '../labels/names.ts';
import { describeCause } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { KeeperClient } from './keeper-client.ts';

type LookUp = Extract<AgentEffect, { kind: 'look-up' }>;

/** For the stacks of one look-up together: what has no name by then stays without. */
const stacksWithinMs = 10_000;
/** A keeper that failed is left alone for a while, twice as long each time in a row. */
const patienceMinMs = 1000;
const patienceMaxMs = 60_000;

export function createNames(
  hostName: (kind: NameKind, id: bigint) => string | undefined,
  keeper: Pick<KeeperClient, 'stacks'>,
  log: Log,
  nowMs: () => number,
): (effect: LookUp) => Promise<(string | undefined)[]> {
  let failures = 0;
  let notBeforeMs = -Infinity;
  const stackTexts = async ({ probe, uuid, wanted }: LookUp): Promise<Map<bigint, string | undefined>> => {
    const ids = wanted.filter(({ kind, id }) => kind === 'stack' && id !== 0n).map(({ id }) => id);
    if (ids.length === 0 || nowMs() < notBeforeMs) return new Map();
    const { texts, failure } = await keeper.stacks(probe, uuid, ids, stacksWithinMs);
    if (failure === undefined) failures = 0;
    else {
      if (failures === 0)
        log.warn(
          { probe, named: texts.length, of: ids.length, reason: describeCause(failure) },
          'stacks stay unnamed: the keeper does not name them in time',
        );
      notBeforeMs = nowMs() + Math.min(patienceMaxMs, patienceMinMs * 2 ** failures);
      failures = Math.min(failures + 1, 16);
    }
    return new Map(texts.map((text, i) => [ids[i]!, text]));
  };
  return async (effect) => {
    const texts = await stackTexts(effect);
    return effect.wanted.map(({ kind, id }) => (kind === 'stack' ? texts.get(id) : hostName(kind, id)));
  };
}
