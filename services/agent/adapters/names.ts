/** Names for what is wanted: the host's from /proc and /sys, stacks from the keeper, which alone may see symbols. */
import type { AgentEffect } from '../effects.ts';
import type { NameKind } from '../labels/names.ts';
import { describeCause } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { KeeperClient } from './keeper-client.ts';

type LookUp = Extract<AgentEffect, { kind: 'look-up' }>;

export function createNames(
  hostName: (kind: NameKind, id: bigint) => string | undefined,
  keeper: Pick<KeeperClient, 'stacks'>,
  log: Log,
): (effect: LookUp) => Promise<(string | undefined)[]> {
  let failed = false;
  return async ({ probe, uuid, wanted }) => {
    const stacks = wanted.filter(({ kind, id }) => kind === 'stack' && id !== 0n).map(({ id }) => id);
    const texts = new Map<bigint, string | undefined>();
    if (stacks.length > 0) {
      try {
        const found = await keeper.stacks(probe, uuid, stacks);
        stacks.forEach((id, i) => texts.set(id, found[i]));
        failed = false;
      } catch (cause) {
        if (!failed)
          log.warn({ probe, reason: describeCause(cause) }, 'stacks stay numbers: the keeper does not name them');
        failed = true;
      }
    }
    return wanted.map(({ kind, id }) => (kind === 'stack' ? texts.get(id) : hostName(kind, id)));
  };
}
