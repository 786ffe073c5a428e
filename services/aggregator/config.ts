/** Settings of the aggregator. */
import { z } from 'zod';
import type { Settings } from '../shared/runtime/settings.ts';

const address = z.string().regex(/^.+:\d{1,5}$/, 'expected HOST:PORT');
const flag = z.enum(['true', 'false']).transform((v) => v === 'true');

export const aggregatorSettings = {
  nats: {
    schema: z.string().regex(/^[^,]+:\d{1,5}(,[^,]+:\d{1,5})*$/, 'expected HOST:PORT, or several with commas'),
    value: 'HOST:PORT',
    fallback: '127.0.0.1:4222',
    help: 'nats-server with JetStream',
  },
  redis: {
    schema: address,
    value: 'HOST:PORT',
    fallback: '127.0.0.1:6379',
    help: 'redis-server that keeps the checkpoints',
  },
  logLevel: {
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    value: 'LEVEL',
    fallback: 'info',
    help: 'debug, info, warn, error or silent',
  },
  help: { schema: flag, fallback: 'false', help: 'this text' },
} as const satisfies Settings;
