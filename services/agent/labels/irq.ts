/** irq: the number of an interrupt line as the name of its handlers in /proc/interrupts. */
import { named } from './named.ts';

export const irq = named('irq');
