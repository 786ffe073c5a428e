/** Settings of the aggregator. */
import { z } from 'zod';
import { natsSettings, redisSettings } from '../shared/contract/connections.ts';
import type { Settings } from '../shared/runtime/settings.ts';

const flag = z.enum(['true', 'false']).transform((v) => v === 'true');

export const aggregatorSettings = {
  ...natsSettings,
  ...redisSettings,
  logLevel: {
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    value: 'LEVEL',
    fallback: 'info',
    help: 'debug, info, warn, error or silent',
  },
  help: { schema: flag, fallback: 'false', help: 'this text' },
} as const satisfies Settings;
