/** Captured stacks of a lineage as text, for the agent, which may not look up symbols: map muster_stacks → frames → names. */
import { closeSync } from 'node:fs';
import { basename } from 'node:path';
import { getPinned, lookup } from '../../shared/adapters/libbpf.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Stack, UserFrame } from '../object/stack.ts';
import { BuildFiles } from './build-files.ts';
import type { Symbols } from './symbols.ts';

const namesMax = 200_000;

/** How a stack's bytes are read and shown: object/stack.ts. */
export interface StackFormat {
  readonly stackBytes: number;
  readonly readStack: (value: Buffer) => Stack;
  readonly stackText: (user: readonly string[], kernel: readonly string[]) => string;
}

export class StackNames {
  private readonly files = new BuildFiles();
  /** By build id and offset: each is looked up once. */
  private readonly names = new Map<string, string>();

  constructor(
    private readonly symbols: Symbols,
    private readonly format: StackFormat,
  ) {}

  /** By id, null for one that is not in the map (any more). `path`: the map's pin. */
  texts(path: string, ids: readonly string[], nowMs: number): (string | null)[] {
    const fd = getPinned(path);
    if (fd === undefined) return ids.map(() => null);
    try {
      const key = Buffer.alloc(8);
      const value = Buffer.alloc(this.format.stackBytes);
      return ids.map((id) => {
        key.writeBigUInt64LE(BigInt(id));
        try {
          lookup(fd, key, value, 'stacks');
        } catch (error) {
          if (error instanceof MusterError) return null;
          throw error;
        }
        const { user, kernel } = this.format.readStack(value);
        const named = this.symbols.kernelNames(
          kernel.map((address) => `0x${address.toString(16)}`),
          nowMs,
        );
        return this.format.stackText(
          user.map((frame) => this.userName(frame, nowMs)),
          named.map(({ name, address }) => withoutOffset(name ?? address)),
        );
      });
    } finally {
      closeSync(fd);
    }
  }

  private userName({ build, offset }: UserFrame, nowMs: number): string {
    if (build === undefined) return '[unknown]';
    const key = `${build} ${offset}`;
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const path = this.files.pathOf(build, nowMs);
    const symbol = path === undefined ? undefined : this.symbols.functionAt(path, offset);
    const name = symbol
      ? withoutOffset(symbol)
      : `${path ? basename(path) : build.slice(0, 8)}+0x${offset.toString(16)}`;
    if (path !== undefined) {
      if (this.names.size >= namesMax) this.names.clear();
      this.names.set(key, name);
    }
    return name;
  }
}

const withoutOffset = (name: string): string => name.replace(/\+0x[0-9a-f]+$/, '');
