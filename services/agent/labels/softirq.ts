/** softirq: a vector's number by its name in /proc/softirqs. Source: include/linux/interrupt.h. */
import { namesOf, readSmall, type Meaning } from './meaning.ts';

const names = namesOf([[0, 'HI TIMER NET_TX NET_RX BLOCK IRQ_POLL TASKLET SCHED HRTIMER RCU']]);

export const softirq: Meaning =
  ({ offset, size }) =>
  (keys, at) => {
    const vector = readSmall(keys, at + offset, size);
    return names.get(vector) ?? String(vector);
  };
