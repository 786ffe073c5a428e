/**
 * Programs that stand in SEC("perf_event"): how often the clock of each CPU runs them. The rate is part of the hook, so
 * that it is told wherever hooks are, and another rate is another lineage. Pure.
 */
import { z } from 'zod';
import type { ProgramSpec } from '../object/object.ts';

/** No multiple of what programs like to do, and rare enough to cost nothing. */
export const defaultHz = 49;
/** Beyond that many the samples are what there is to see. */
export const hz = z.coerce.number().int().min(1).max(999);

export const withClock = (programs: readonly ProgramSpec[], perSecond: number): ProgramSpec[] =>
  programs.map((p) =>
    p.hook === 'perf_event' ? { ...p, hook: `perf_event/${perSecond}hz`, periodNs: Math.floor(1e9 / perSecond) } : p,
  );
