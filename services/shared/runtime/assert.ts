/** A broken invariant: a bug in Muster, never bad input. It crashes the process, and the supervisor restarts it. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Crashes unless `condition` holds; `message` names the invariant and the values that broke it. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Marks a branch that the types make unreachable. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable value ${JSON.stringify(value)}`);
}
