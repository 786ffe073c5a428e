/** All kinds of fault. */
import { busFaults } from './bus.ts';
import type { Fault } from './fault.ts';
import { networkFaults } from './network.ts';
import { pinFaults } from './pins.ts';
import { signalFaults } from './signals.ts';
import { storeFaults } from './store.ts';
import { systemCallFaults } from './system-calls.ts';
import { twinFaults } from './twins.ts';

export const faults: readonly Fault[] = [
  ...signalFaults,
  ...systemCallFaults,
  ...networkFaults,
  ...storeFaults,
  ...busFaults,
  ...pinFaults,
  ...twinFaults,
];
