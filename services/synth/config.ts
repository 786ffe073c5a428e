/** Settings of the synthetic fleet. */
import { z } from 'zod';
import { natsSettings } from '../shared/contract/connections.ts';
import type { Setting, Settings } from '../shared/runtime/settings.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const duration = (leastMs: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^\d+(ms|s|m|h)$/, 'expected a duration such as 500ms, 1s or 2m')
    .transform((text) => Number.parseInt(text, 10) * unitMs[/[a-z]+$/.exec(text)![0]]!)
    .refine((ms) => ms >= leastMs, `expected at least ${leastMs}ms`);
const number = (least: number, most: number): z.ZodType<number> =>
  z
    .string()
    .regex(/^\d+$/, 'expected a number')
    .transform(Number)
    .refine((n) => n >= least && n <= most, `expected ${least} to ${most}`);
const setting = <T>(s: Setting<T>): Setting<T> => s;

/** Rows of one host: a keyframe of them fits one message. */
export const rowsMax = 8_000;

export const synthSettings = {
  hosts: setting({ schema: number(1, 100_000), help: 'hosts', value: 'N', fallback: '10' }),
  rows: setting({
    schema: number(1, rowsMax),
    help: 'rows of each host; all change at each read',
    value: 'N',
    fallback: '100',
  }),
  interval: setting({ schema: duration(50), help: 'time between two reads of a host', value: 'TIME', fallback: '1s' }),
  first: setting({
    schema: number(0, 10_000_000),
    help: 'number of the first host: several processes make one fleet',
    value: 'N',
    fallback: '0',
  }),
  values: setting({
    schema: z.enum(['small', 'wide']),
    help: 'small: counts from 0; wide: spread evenly in the logarithm over 10^3 to 10^12',
    value: 'KIND',
    fallback: 'small',
  }),
  churn: setting({
    schema: number(0, rowsMax),
    help: 'keys of a host that end, and begin, at each read',
    value: 'N',
    fallback: '0',
  }),
  restarts: setting({
    schema: number(0, 1_000_000),
    help: 'reads after which a host boots again (0: never)',
    value: 'N',
    fallback: '0',
  }),
  late: setting({
    schema: number(0, 100),
    help: 'percent of the hosts that are silent for a third of the time',
    value: 'PERCENT',
    fallback: '0',
  }),
  reads: setting({
    schema: number(0, 1_000_000_000),
    help: 'reads of each host before it ends by itself (0: until told)',
    value: 'N',
    fallback: '0',
  }),
  ...natsSettings,
  logLevel: setting({
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    help: 'least level logged',
    value: 'LEVEL',
    fallback: 'info',
  }),
  help: setting({ schema: z.stringbool(), help: 'show this text', fallback: 'false' }),
} as const satisfies Settings;

/** The fleet that is wanted, as the core sees it. */
export interface FleetPlan {
  readonly hosts: number;
  readonly rows: number;
  readonly first: number;
  readonly intervalNs: bigint;
  readonly wide: boolean;
  readonly churn: number;
  /** Reads between two boots of a host; 0: never. */
  readonly restarts: number;
  /** Percent of hosts that are silent for a third of the time. */
  readonly late: number;
  /** Unlike that of any other run: lineages and message ids are made from it. */
  readonly seed: string;
}
