/** The keeper's status as lines for a person: per probe what is attached, and why something is not. */
import { z } from 'zod';

const status = z.object({
  lineages: z.array(
    z.object({
      probe: z.string(),
      counting: z.boolean(),
      programs: z.array(
        z.object({ name: z.string(), hook: z.string(), state: z.string(), reason: z.string().optional() }),
      ),
    }),
  ),
  failed: z.array(z.object({ probe: z.string(), message: z.string() })),
});

/** An older lineage that no longer counts is of no interest at a start. */
export function attachedLines(reply: unknown): string[] {
  const parsed = status.safeParse(reply);
  if (!parsed.success) return [`the keeper's status cannot be read: ${parsed.error.issues[0]?.message ?? ''}`];
  const { lineages, failed } = parsed.data;
  const lines = lineages
    .filter((lineage) => lineage.counting)
    .flatMap(({ probe, programs }) => {
      const attached = programs.filter((p) => p.state === 'attached').map((p) => p.hook);
      const missing = programs.filter((p) => p.state !== 'attached');
      return [
        `${probe}: attached to ${attached.join(', ')}`,
        ...missing.map((p) => `${probe}: not attached to ${p.hook}: ${p.reason ?? p.state}`),
      ];
    });
  return [...lines, ...failed.map((f) => `${f.probe}: not loaded: ${f.message}`)];
}
