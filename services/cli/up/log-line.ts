/** One line of a role's output as a person reads it, or nothing when it is not worth a person's while. */
import type { RoleName } from './roles.ts';

const worthSaying = new Set(['warn', 'error', 'fatal']);
const known = new Set(['level', 'time', 'msg', 'role', 'host', 'pid', 'hostname']);

export interface SaidLine {
  readonly text: string;
  /** True for a line of the kind that explains why a process ended. */
  readonly grave: boolean;
}

export function readableLine(role: RoleName, line: string): SaidLine | undefined {
  if (role === 'nats') return server(role, line, /\[(?:ERR|FTL|WRN)\]\s*(.*)/);
  if (role === 'redis')
    return server(role, line, /^\d+:\w+ .*? (?:# )(.*(?:rror|ailed|enied|ould not|can't|cannot|wrong|misconf).*)/i);
  const record = parseRecord(line);
  if (!record) return line.trim() === '' ? undefined : { text: `${role}: ${line}`, grave: true };
  if (typeof record['level'] !== 'string' || !worthSaying.has(record['level'])) return undefined;
  const details = Object.entries(record)
    .filter(([name]) => !known.has(name))
    .map(([name, value]) => `${name}=${brief(value)}`);
  const message = String(record['msg'] ?? '');
  return {
    text: `${role} ${record['level']}: ${message}${details.length > 0 ? ` (${details.join(' ')})` : ''}`,
    grave: record['level'] !== 'warn',
  };
}

function server(role: RoleName, line: string, pattern: RegExp): SaidLine | undefined {
  const match = pattern.exec(line);
  return match ? { text: `${role}: ${match[1]}`, grave: true } : undefined;
}

function parseRecord(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** An error by its message; anything else by its first 200 characters. */
function brief(value: unknown): string {
  const message = typeof value === 'object' && value !== null && 'message' in value ? value.message : undefined;
  const text = typeof message === 'string' ? message : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
