/** What all faults have in common. */
import type { Machine, World } from './world.ts';

/** Acts on the world at its time. False where there was nothing to harm. */
export type Fault = (world: World) => boolean;

export const machine = (w: World): Machine => w.random.pick(w.machines);
export const seconds = (w: World, low: number, high: number): number =>
  w.random.between(low * 1000, high * 1000) * 1000;

/** Sets something for a while. */
export function during(w: World, us: number, begin: () => void, end: () => void): boolean {
  begin();
  w.queue.after(us, () => {
    if (!w.healing) end();
  });
  return true;
}
