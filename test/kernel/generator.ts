/** A load generator (load/load.c or load/acts.c, compiled by set-up) as a child process that waits at its gate. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../../build/test');

export interface Generated {
  readonly tids: number[];
  /** Calls made by all threads. */
  readonly calls: number;
  /** The fastest thread's time by round. */
  readonly ns: number[];
}

export class Generator {
  private constructor(
    readonly pid: number,
    private readonly nextLine: () => Promise<string>,
    private readonly write: (text: string) => void,
    private readonly ended: Promise<unknown>,
  ) {}

  /** Resolves once all its threads wait at the start. Arguments: head of load.c. */
  static async start(args: readonly (string | number)[]): Promise<Generator> {
    return Generator.gated('load', ['--gate', ...args.map(String)]);
  }

  /** The same of one act: head of acts.c. */
  static async act(args: readonly (string | number)[]): Promise<Generator> {
    return Generator.gated('acts', args.map(String));
  }

  /** calls.c: `times` is its argument. */
  static async calls(times: number): Promise<Generator> {
    return Generator.gated('calls', [String(times)]);
  }

  private static async gated(program: string, args: readonly string[]): Promise<Generator> {
    const child = spawn(join(folder, program), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const nextLine = async (): Promise<string> => {
      const { value, done } = await lines.next();
      if (done) throw new Error('load generator ended early');
      return value as string;
    };
    const ended = once(child, 'exit');
    const generator = new Generator(child.pid!, nextLine, (text) => child.stdin.write(text), ended);
    if ((await nextLine()) !== 'ready') throw new Error('load generator: unexpected first line');
    return generator;
  }

  /** Does its calls; when this resolves, all threads wait again and none has ended. */
  async run(): Promise<Generated> {
    this.write('go\n');
    return JSON.parse(await this.nextLine()) as Generated;
  }

  async end(): Promise<void> {
    this.write('end\n');
    await this.ended;
  }
}

/** From start to end in one. */
export async function generate(args: readonly (string | number)[]): Promise<Generated> {
  const generator = await Generator.start(args);
  const result = await generator.run();
  await generator.end();
  return result;
}
