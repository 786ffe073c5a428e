/** The keeper's status as lines for a person: per probe what is attached, and why something is not. */
export function attachedLines(_status: Readonly<Record<string, unknown>>): string[] {
  return [];
}
