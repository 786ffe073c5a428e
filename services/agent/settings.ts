/** Flags of the agent's process: services/shared/runtime/settings.ts resolves and documents them. */
import { z } from 'zod';
import { natsSettings } from '../shared/contract/connections.ts';
import { wireNewest, wireOldest, wireVersions } from '../shared/contract/wire.ts';
import { meanings } from './labels/decoders.ts';
import type { Hiding } from './config.ts';
import { parseHiding } from './labels/privacy.ts';
import type { Setting, Settings } from '../shared/runtime/settings.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** "500ms", "1s", "2m" as milliseconds. */
const duration = z
  .string()
  .regex(/^\d+(ms|s|m)$/, 'expected a duration such as 500ms, 1s or 2m')
  .transform((text) => Number.parseInt(text, 10) * unitMs[/[a-z]+$/.exec(text)![0]]!)
  .refine((ms) => ms >= 50 && ms <= 600_000, 'expected 50ms to 10m');

/** "role=web,zone=a" as a record. */
const labels = z
  .string()
  .optional()
  .transform((text, context): Record<string, string> => {
    const found: Record<string, string> = {};
    for (const pair of (text ?? '').split(',').filter(Boolean)) {
      const match = /^([a-z][a-z0-9_]{0,62})=([^,]{0,255})$/.exec(pair);
      if (!match)
        context.addIssue({ code: 'custom', message: `${JSON.stringify(pair)} is not name=value (name: a-z, 0-9, _)` });
      else found[match[1]!] = match[2]!;
    }
    return found;
  });

/** "ipv4=hash,cmdline=off" as rules. */
const hiding = z
  .string()
  .optional()
  .transform((text, context): ReadonlyMap<string, Hiding> => {
    const rules = parseHiding(text ?? '', (meaning) => meanings.has(meaning));
    if (typeof rules !== 'string') return rules;
    context.addIssue({ code: 'custom', message: rules });
    return new Map();
  });

const id = z.string().regex(/^\d+$/, 'expected a number').transform(Number).optional();

const wireVersion = z.coerce
  .number('expected a number')
  .refine((v) => wireVersions.includes(v), `expected ${wireVersions.join(' or ')}`);

const setting = <T>(s: Setting<T>): Setting<T> => s;

/** `host` is the machine's name unless told otherwise. */
export const agentSettings = (hostname: string) =>
  ({
    host: setting({
      schema: z.string().min(1).max(253),
      help: 'name of this host in answers',
      value: 'NAME',
      fallback: hostname,
    }),
    label: setting({ schema: labels, help: 'static labels of this host, e.g. role=web,zone=a', value: 'K=V,…' }),
    interval: setting({ schema: duration, help: 'time between two reads', value: 'TIME', fallback: '1s' }),
    pinRoot: setting({
      schema: z.string().startsWith('/'),
      help: 'where the loader pins lineages',
      value: 'DIR',
      fallback: '/sys/fs/bpf/muster',
    }),
    ...natsSettings,
    wireVersion: setting({
      schema: wireVersion,
      help: `version of the messages: an older one, from ${wireOldest}, while the aggregator is of an older release`,
      value: 'N',
      fallback: `${wireNewest}`,
    }),
    measureEvery: setting({
      schema: z.union([z.literal('off').transform(() => 0), duration]),
      help: 'time between two measurements of what the programs cost (250 ms each, by the keeper); or off',
      value: 'TIME',
      fallback: '1m',
    }),
    hide: setting({
      schema: hiding,
      help: 'labels that leave this host left out, hashed or cut, by meaning: cmdline=off,ipv4=hash,cgroup=32',
      value: 'M=HOW,…',
    }),
    hideKey: setting({
      schema: z.string().min(1).optional(),
      help: 'file with the key of the hashes, the same on every host',
      value: 'FILE',
    }),
    socket: setting({
      schema: z.string().optional(),
      help: 'socket of the keeper, to have ended lineages removed and the programs’ cost measured',
      value: 'PATH',
    }),
    uid: setting({ schema: id, help: 'user to become once everything is loaded', value: 'N' }),
    gid: setting({ schema: id, help: 'group to become; the pins must be open to it', value: 'N' }),
    logLevel: setting({
      schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
      help: 'least level logged',
      value: 'LEVEL',
      fallback: 'info',
    }),
    help: setting({ schema: z.stringbool(), help: 'show this text', fallback: 'false' }),
  }) satisfies Settings;
