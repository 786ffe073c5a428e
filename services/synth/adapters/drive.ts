/** Drives the synthetic fleet: reads spread evenly over the interval, messages to the bus, words from the aggregator. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Durable } from '../../shared/contract/batch.ts';
import { durableSubject, resyncSubject } from '../../shared/contract/subjects.ts';
import { describeCause } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { AgentBus } from '../../shared/runtime/ports/agent-bus.ts';
import type { Instant, Publish, SynthEvent } from '../synth.ts';

export interface SynthDrive {
  readonly hosts: readonly string[];
  readonly intervalMs: number;
  /** Reads of each host; 0: until stopped. */
  readonly reads: number;
  readonly step: (event: SynthEvent) => Publish[];
  /** True while anything counted is not stored. */
  readonly isUnsent: (host: number) => boolean;
  readonly bus: AgentBus;
  readonly now: () => Instant;
  readonly log: Log;
}

export interface SynthDriver {
  /** Resolves when every host has made its reads, or stop() was called. */
  readonly over: Promise<void>;
  /** Sends what was not sent yet; resolves to the number of hosts that still hold something after at most `boundMs`. */
  stop(boundMs: number): Promise<number>;
}

/** Hosts read in groups, so that the load is even. */
const groupMs = 20;
const finishEveryMs = 100;

export function driveSynth(drive: SynthDrive): SynthDriver {
  const { hosts, bus, log, now } = drive;
  let stopped = false;
  let failing = false;
  const publish = (messages: readonly Publish[]): void => {
    for (const m of messages) {
      bus.publish(m.subject, m.id, m.payload).then(
        () => {
          failing = false;
          drive.step({ kind: 'settled', host: m.host, stored: true });
        },
        (cause: unknown) => {
          if (!failing) log.warn({ reason: describeCause(cause) }, 'publishing failed; counting on');
          failing = true;
          drive.step({ kind: 'settled', host: m.host, stored: false });
        },
      );
    }
  };
  for (const [host, name] of hosts.entries()) {
    bus.subscribe(resyncSubject(name), () => void drive.step({ kind: 'resync', host }));
    bus.subscribe(durableSubject(name), (payload) => {
      const { lineageUuid, generation } = Durable.decode(payload);
      drive.step({ kind: 'durable', host, uuid: lineageUuid, generation });
    });
  }

  const run = async (): Promise<void> => {
    const groups = Math.max(1, Math.min(hosts.length, Math.round(drive.intervalMs / groupMs)));
    const start = performance.now();
    for (let tick = 0; !stopped && (drive.reads === 0 || tick < drive.reads * groups); tick++) {
      const waitMs = start + (tick * drive.intervalMs) / groups - performance.now();
      // Behind by more than an interval: what was not read is not made up for, as with any agent.
      if (waitMs < -drive.intervalMs && drive.reads === 0) continue;
      await sleep(Math.max(0, waitMs));
      for (let host = tick % groups; host < hosts.length; host += groups)
        publish(drive.step({ kind: 'read', host, at: now() }));
    }
  };

  return {
    over: run(),
    async stop(boundMs) {
      stopped = true;
      const end = performance.now() + boundMs;
      for (;;) {
        for (const host of hosts.keys()) publish(drive.step({ kind: 'finish', host, at: now() }));
        const left = [...hosts.keys()].filter((host) => drive.isUnsent(host)).length;
        if (left === 0 || performance.now() > end) return left;
        await sleep(finishEveryMs);
      }
    },
  };
}
