/** `muster up` among the victims: with it all that it supervises ends, but for the pins; the next one adopts them. */
import { over, pause, type Fault } from './fault.ts';

const killUp: Fault = {
  kind: 'kill up',
  inflict: async (world, random) => {
    const whole = await world.upOfOne();
    await whole.kill();
    await pause(random.between(0, 500));
    await whole.start();
    return over(`pid ${whole.pid} adopts its pins`);
  },
};

export const wholeFaults: readonly Fault[] = [killUp];
