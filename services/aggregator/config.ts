/** Settings of the aggregator. */
import { z } from 'zod';
import { natsSettings, redisSettings } from '../shared/contract/connections.ts';
import { partitionCount } from '../shared/contract/subjects.ts';
import type { Settings } from '../shared/runtime/settings.ts';

const flag = z.enum(['true', 'false']).transform((v) => v === 'true');

export const aggregatorSettings = {
  ...natsSettings,
  ...redisSettings,
  busReplicas: {
    schema: z
      .string()
      .regex(/^[135]$/, 'expected 1, 3 or 5')
      .transform(Number),
    value: 'N',
    fallback: '1',
    help: 'servers of the bus that hold a copy of the stream each: 1, 3 or 5',
  },
  busTags: {
    schema: z
      .string()
      .optional()
      .transform((text) => (text ?? '').split(',').filter(Boolean)),
    value: 'TAG,…',
    help: 'tags that those servers must have',
  },
  name: {
    schema: z
      .string()
      .regex(/^[A-Za-z0-9_.:-]{1,128}$/, 'expected letters, digits and _.:-')
      .optional(),
    value: 'NAME',
    help: 'name among the aggregators of this store (default the hostname); a second one takes the place of the first',
  },
  logLevel: {
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    value: 'LEVEL',
    fallback: 'info',
    help: 'debug, info, warn, error or silent',
  },
  seriesPerHost: {
    schema: z.coerce.number().int().min(1),
    value: 'N',
    fallback: '100000',
    help: 'series taken of one host; labels that are new beyond that join the overflow',
  },
  series: {
    schema: z.coerce.number().int().min(partitionCount),
    value: 'N',
    fallback: '10000000',
    help: 'series taken of the fleet; each of its partitions takes its part',
  },
  help: { schema: flag, fallback: 'false', help: 'this text' },
} as const satisfies Settings;
