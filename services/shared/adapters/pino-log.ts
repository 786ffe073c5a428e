/** The Log port on pino: one JSON object a line on stderr, written at once, so that a crash loses no line. */
import pino from 'pino';
import type { Log } from '../runtime/log.ts';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** `bindings` stand in every line, e.g. { role: 'agent', host: 'web-1' }. An error in `fields.err` keeps its cause. */
export function createLog(level: LogLevel | (string & {}), bindings: Readonly<Record<string, unknown>> = {}): Log {
  return pino(
    {
      level,
      base: bindings,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
