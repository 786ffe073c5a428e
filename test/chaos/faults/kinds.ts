/** All kinds of fault, but those that need a release before (releases.ts). */
import { busFaults } from './bus.ts';
import { clockFaults } from './clocks.ts';
import type { Fault } from './fault.ts';
import { networkFaults } from './network.ts';
import { pinFaults } from './pins.ts';
import { signalFaults } from './signals.ts';
import { storeFaults } from './store.ts';
import { systemCallFaults } from './system-calls.ts';
import { twinFaults } from './twins.ts';
import { upgradeFaults } from './upgrades.ts';
import { wholeFaults } from './whole.ts';

export const faults: readonly Fault[] = [
  ...signalFaults,
  ...systemCallFaults,
  ...networkFaults,
  ...storeFaults,
  ...busFaults,
  ...pinFaults,
  ...twinFaults,
  ...clockFaults,
  ...upgradeFaults,
  ...wholeFaults,
];
