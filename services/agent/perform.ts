/**
 * Performs the effects that touch pins, through the PinnedTables port: the same code in the driver and in the
 * simulator. Each call does one effect and returns its event; `undefined` for effects that are not about pins.
 */
import { describeCause } from '../shared/runtime/errors.ts';
import type { PinnedLineage, PinnedTables, TableImage } from '../shared/runtime/ports/pinned-tables.ts';
import { parseLineageMeta } from '../shared/contract/lineage.ts';
import { bySecond } from '../shared/contract/seconds.ts';
import type { AgentEffect, AgentEvent, Instant, LineageImage } from './effects.ts';

interface Opened {
  readonly pins: PinnedLineage;
  /** One image a table, reused by every read. */
  readonly images: TableImage[];
  /** True where a table is kept by second. */
  bySecond: boolean;
}

type ReadEffect = Extract<AgentEffect, { kind: 'read' }>;
const noKeys = new Uint8Array(0);

export interface PinPerformer {
  /** Performs `effect`; the event is to be stepped before the next effect of the same lineage is performed. */
  perform(effect: AgentEffect): AgentEvent | undefined;
  closeAll(): void;
}

export function createPinPerformer(tables: PinnedTables, now: () => Instant): PinPerformer {
  const opened = new Map<string, Opened>();
  const pinsOf = (directory: string): PinnedLineage => opened.get(directory)!.pins;

  const act = (effect: AgentEffect): AgentEvent | undefined => {
    switch (effect.kind) {
      case 'open': {
        const { directory } = effect;
        const pins = tables.open(directory);
        const locked = pins.tryLock();
        opened.set(directory, { pins, images: [], bySecond: false });
        return {
          kind: 'opened',
          directory,
          metaJson: pins.metaJson,
          locked,
          control: pins.readControl(),
          retired: pins.readRetired(),
        };
      }
      case 'read':
        return { kind: 'image', directory: effect.directory, image: read(effect, opened.get(effect.directory)!, now) };
      case 'write-control': {
        const pins = pinsOf(effect.directory);
        const found = pins.readControl();
        const ok = found === effect.expected;
        if (ok) pins.writeControl(effect.word);
        return { kind: 'control-written', directory: effect.directory, ok, found };
      }
      case 'write-clock':
        pinsOf(effect.directory).writeClock?.(effect.offsetNs);
        return undefined;
      case 'write-retired':
        pinsOf(effect.directory).writeRetired(effect.words);
        return { kind: 'retired-written', directory: effect.directory };
      case 'clear-slot': {
        const open = opened.get(effect.directory)!;
        for (let t = 0; t < tableCount(open); t++) open.pins.clearSlot(t, effect.slot);
        return undefined;
      }
      case 'check-slot': {
        const open = opened.get(effect.directory)!;
        let empty = true;
        for (let t = 0; t < tableCount(open); t++) empty = open.pins.slotEmpty(t, effect.slot) && empty;
        return { kind: 'slot-checked', directory: effect.directory, slot: effect.slot, empty };
      }
      case 'request-lock': {
        const pins = pinsOf(effect.directory);
        const held = pins.tryLock();
        return {
          kind: 'lock',
          directory: effect.directory,
          held,
          control: pins.readControl(),
          retired: pins.readRetired(),
        };
      }
      case 'account': {
        const { directory, accounts, count } = effect;
        return { kind: 'accounted', directory, answers: pinsOf(directory).account(accounts, count) };
      }
      case 'close':
        opened.get(effect.directory)?.pins.close();
        opened.delete(effect.directory);
        return undefined;
      default:
        return undefined;
    }
  };

  return {
    perform(effect) {
      try {
        return act(effect);
      } catch (cause) {
        if (!('directory' in effect)) throw cause;
        const { directory, kind } = effect;
        const reason = describeCause(cause);
        return kind === 'open'
          ? { kind: 'open-failed', directory, reason }
          : { kind: 'pins-failed', directory, effect: kind, reason };
      }
    },
    closeAll() {
      for (const { pins } of opened.values()) pins.close();
      opened.clear();
    },
  };
}

/** Tables of the lineage; the images are made with the first read or clear. */
function tableCount(open: Opened): number {
  const { pins, images } = open;
  if (images.length === 0) {
    const empty = (): TableImage => ({ rowsIssued: 0, cells: new Uint32Array(0), ledger: new Uint32Array(0) });
    const { tables } = parseLineageMeta(pins.metaJson);
    images.push(...tables.map(empty));
    open.bySecond = tables.some(bySecond);
  }
  return images.length;
}

function read(effect: ReadEffect, open: Opened, now: () => Instant): LineageImage {
  const { pins, images } = open;
  const control = pins.readControl();
  const active = Number(control & 1n) as 0 | 1;
  const slot = effect.role === 'active' ? active : ((active ^ 1) as 0 | 1);
  const keys: Uint8Array[] = [];
  const count = tableCount(open);
  const offsetNs = open.bySecond ? pins.readClock?.() : undefined;
  // The instant is taken before the copy: what happens during it may be dated a little early, never late.
  const readAt = now();
  for (let t = 0; t < count; t++) {
    const image = images[t]!;
    pins.readTable(t, slot, image);
    const from = effect.keysFrom[t]!;
    keys.push(image.rowsIssued >= from ? pins.readKeys(t, slot, from, image.rowsIssued) : noKeys);
  }
  return {
    role: effect.role,
    control,
    controlAfter: pins.readControl(),
    readAt,
    tables: images,
    keys,
    keysFrom: effect.keysFrom,
    programs: pins.programs(),
    retired: pins.readRetired(),
    governed: pins.readGoverned?.() ?? 0n,
    ...(offsetNs === undefined ? {} : { clock: { offsetNs, copiedBoottimeNs: now().boottimeNs } }),
  };
}
