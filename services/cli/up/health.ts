/**
 * When a server of our own that runs but does not answer is to be ended, so that it is started again. A slow disk is
 * no hang: it takes several questions in a row without an answer, over `firstMs`, and twice as long after each time.
 */
export const patience = { firstMs: 15_000, largestMs: 300_000, resetAfterMs: 900_000, questionsMin: 3 } as const;

export interface Health {
  /** When it last answered, or became ready. */
  answeredMs: number;
  /** Questions without an answer since. */
  unanswered: number;
  patienceMs: number;
  /** When it was last ended for silence. */
  endedMs: number;
}

export const newHealth = (): Health => ({
  answeredMs: 0,
  unanswered: 0,
  patienceMs: patience.firstMs,
  endedMs: -Infinity,
});

/** It became ready or answered. */
export function noteAnswer(health: Health, nowMs: number): void {
  health.answeredMs = nowMs;
  health.unanswered = 0;
  if (nowMs - health.endedMs >= patience.resetAfterMs) health.patienceMs = patience.firstMs;
}

/** A question got no answer. Returns for how long there was none when it is to be ended now. */
export function noteSilence(health: Health, nowMs: number): number | undefined {
  health.unanswered++;
  const silentMs = nowMs - health.answeredMs;
  if (health.unanswered < patience.questionsMin || silentMs < health.patienceMs) return undefined;
  health.patienceMs = Math.min(health.patienceMs * 2, patience.largestMs);
  health.endedMs = nowMs;
  health.unanswered = 0;
  return silentMs;
}
