/**
 * One machine of the fleet: a kernel under software emulation (nested virtualisation hangs), with a network card behind
 * qemu's own address translation, through which it reaches the loopback of this host at 10.0.2.2, and nothing else is
 * asked of it. It ends with this process, in whatever way that ends. Flags: docs/kernels.md says why they are these.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../integration/instance.ts';
import type { Kernel } from './kernels.ts';
import { Qmp } from './qmp.ts';

export interface GuestPlan {
  /** Of this machine, in file names and messages. */
  readonly name: string;
  /** Name that its agent gives itself, and its hostname. */
  readonly host: string;
  readonly kernel: Kernel;
  /** More words for the kernel's command line. */
  readonly words?: readonly string[];
  /** Probes of its keeper; none: neither keeper nor agent is started. */
  readonly probes: readonly string[];
  /** Loader and agent as they are installed; otherwise each bundled into one file. */
  readonly installed?: boolean;
  /** Between two reads of its agent, which an emulated machine pays much for: those of every probe most. */
  readonly interval: string;
  /** CPUs, 1 unless said: of several, one waits for the other with all its might where this host has fewer. */
  readonly cpus?: number;
  /** How far its clock is ahead of this host's. */
  readonly clockAheadMs?: number;
}

export interface GuestPlaces {
  readonly image: string;
  /** For sockets: short, since their paths are bounded. */
  readonly run: string;
  /** For the consoles. */
  readonly logs: string;
  /** Port of the bus on this host's loopback. */
  readonly nats: number;
}

export interface Answer {
  readonly code: number;
  readonly output: string;
}

/** CPU time that a guest may take for anything: emulated, and on a machine that has other work besides. */
const cpuBoundS = 240;
/** One that uses none of it waits for what will not come. */
const patienceMs = 300_000;
const memory = '512';

export class Guest {
  private commands: Socket | undefined;
  private qmp: Qmp | undefined;
  private next = 1;
  private readonly waiting = new Map<string, (answer: Answer) => void>();
  private isUp = false;
  private ended = false;
  private usedS = 0;

  private constructor(
    readonly plan: GuestPlan,
    private readonly process: ChildProcess,
    readonly console: string,
  ) {
    process.on('close', () => (this.ended = true));
  }

  /** Powers it on; ready() waits for it. */
  static async start(plan: GuestPlan, places: GuestPlaces): Promise<Guest> {
    mkdirSync(places.logs, { recursive: true });
    const console = join(places.logs, `${plan.name}.log`);
    const at = (what: string): string => join(places.run, `${plan.name}.${what}`);
    for (const what of ['qmp', 'commands']) rmSync(at(what), { force: true });
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...flags(plan, places, at, console)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const guest = new Guest(plan, child, console);
    running.add(guest);
    child.stderr.on('data', (text: Buffer) => appendFileSync(console, text));
    guest.qmp = await Qmp.open(await guest.connected(at('qmp')));
    guest.commands = await guest.connected(at('commands'));
    guest.listen(guest.commands);
    return guest;
  }

  /** Resolves once its init takes commands. */
  async ready(): Promise<void> {
    await this.until('it takes commands', () => this.isUp);
  }

  /** Runs a command of its shell to its end. */
  async run(command: string): Promise<Answer> {
    const id = String(this.next++);
    let answer: Answer | undefined;
    this.waiting.set(id, (a) => (answer = a));
    this.commands!.write(`${id} ${command}\n`);
    await this.until(command, () => answer !== undefined);
    return answer!;
  }

  /** Exactly `calls` calls of getppid by threads of this name. */
  async load(calls: number, comm: string): Promise<void> {
    const { code, output } = await this.run(`load --threads 2 --calls ${calls / 2} --comm ${comm}`);
    if (code !== 0) throw new Error(`guest ${this.plan.name}: load ended with ${code}: ${output}`);
  }

  /** Pulls or plugs its network cable. */
  async link(up: boolean): Promise<void> {
    await this.qmp!.execute('set_link', { name: 'card', up });
  }

  /** The power goes, without a word to the kernel. Resolves when the machine is gone. */
  async powerOff(): Promise<void> {
    this.usedS = this.cpuS();
    this.qmp?.close();
    this.commands?.destroy();
    this.process.kill('SIGKILL');
    while (!this.ended) await sleep(20);
    running.delete(this);
  }

  /** Waits, and gives up when the guest has used up its CPU time, or idles, or has ended: not when this host is slow. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const bound = this.cpuS() + cpuBoundS;
    const end = performance.now() + patienceMs;
    while (!(await holds())) {
      if (this.ended) throw new Error(`guest ${this.plan.name} ended while ${what}\n${this.tail()}`);
      if (this.cpuS() > bound)
        throw new Error(`guest ${this.plan.name}: ${what}: not within ${cpuBoundS} s of its CPU time\n${this.tail()}`);
      if (performance.now() > end)
        throw new Error(`guest ${this.plan.name}: ${what}: not within ${patienceMs / 1000} s\n${this.tail()}`);
      await sleep(100);
    }
  }

  /** Seconds of CPU that it has used so far. */
  cpuS(): number {
    try {
      const stat = readFileSync(`/proc/${this.process.pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      return this.usedS;
    }
  }

  tail(): string {
    try {
      return readFileSync(this.console, 'utf8').slice(-4000);
    } catch {
      return '';
    }
  }

  /** A connection to one of qemu's sockets, which come some time after it has started. */
  private async connected(path: string): Promise<Socket> {
    let socket: Socket | undefined;
    await this.until('qemu listens', async () => {
      const attempt = connect(path);
      const isOpen = await new Promise<boolean>((resolve) => {
        attempt.once('connect', () => resolve(true));
        attempt.once('error', () => resolve(false));
      });
      if (isOpen) socket = attempt;
      return isOpen;
    });
    return socket!;
  }

  private listen(socket: Socket): void {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('error', () => undefined);
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const [id = '', code = '', output = ''] = text.slice(0, end).trim().split(' ');
        text = text.slice(end + 1);
        if (id === 'up') this.isUp = true;
        this.waiting.get(id)?.({ code: Number(code), output: Buffer.from(output, 'base64').toString() });
        this.waiting.delete(id);
      }
    });
  }
}

function flags(plan: GuestPlan, places: GuestPlaces, at: (what: string) => string, console: string): string[] {
  const { kernel, words = [], probes, host, installed = false, cpus = 1, clockAheadMs = 0 } = plan;
  const line = [
    `console=ttyS0 panic=-1 quiet tsc=reliable tsc_early_khz=${tscKhz()} no_timer_check`,
    'root=/dev/nvme0n1 ro rootfstype=ext4 init=/init',
    `muster_host=${host} muster_nats=${places.nats} muster_interval=${plan.interval}`,
    `muster_probes=${probes.join(',')} muster_program=${installed ? 'main' : 'bundle'}`,
    ...words,
  ].join(' ');
  const clock = new Date(Date.now() + clockAheadMs).toISOString().slice(0, 19);
  const character = (id: string, rest: string): string[] => [
    '-chardev',
    `${rest},id=${id}`,
    '-serial',
    `chardev:${id}`,
  ];
  return [
    ...[
      '-accel',
      'tcg,tb-size=256',
      '-cpu',
      'max,-cx16',
      '-m',
      memory,
      '-smp',
      String(cpus),
      '-nodefaults',
      '-nographic',
      '-no-reboot',
    ],
    ...['-kernel', kernel.image, '-append', line, '-rtc', `base=${clock}`],
    ...[
      '-drive',
      `file=${places.image},format=raw,if=none,id=root,readonly=on`,
      '-device',
      'nvme,serial=root,drive=root',
    ],
    ...['-netdev', 'user,id=net', '-device', 'vmxnet3,netdev=net,id=card,romfile='],
    ...character('console', `file,path=${console}`),
    ...character('commands', `socket,path=${at('commands')},server=on,wait=off`),
    ...['-qmp', `unix:${at('qmp')},server=on,wait=off`],
  ];
}

/**
 * Of the counter that guests see, which is this host's. A guest that measured it itself, and got no CPU for a moment
 * meanwhile, has a clock that runs several times too fast.
 */
const tscKhz = (): number => (khz ??= Number(execFileSync(join(root, 'build/test/tsc'), { encoding: 'utf8' })));
let khz: number | undefined;

const running = new Set<Guest>();

/** Every machine that still runs, off. */
export const powerOffAll = async (): Promise<void> => {
  await Promise.all([...running].map((guest) => guest.powerOff()));
};
