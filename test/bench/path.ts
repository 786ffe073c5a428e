/** The costs of the whole path on one host, in the order of the path. */
import { agentCost } from './agent-cost.ts';
import type { Figure } from './figure.ts';
import { kernelCost } from './kernel-cost.ts';
import { wireBytes } from './wire-bytes.ts';

/** The section of docs/operations.md. */
export async function writePath(figures: readonly Figure[]): Promise<void> {
  const { aimTable, conditions, writeSection } = await import('./document.ts');
  const body = `## What it costs

In the kernel: [beside other tools](techniques.md). Of the agent, with so many rows that change each second and a read each second, after its first minute (in which V8 compiles, at about 1 % of a core); on the wire, for each changed row, definitions, keyframes and headers included.

${aimTable(figures.filter((f) => /^(agent|wire)_/.test(f.figure)))}

An agent in Node cannot come below the bare client that stands beside it: a process that wakes each second, publishes one message and has it confirmed. ${conditions()}`;
  await writeSection('docs/operations.md', 'Operating Muster', 'path', body);
}

export async function path(options: { readonly seconds: number; readonly turns: number }): Promise<Figure[]> {
  return [...(await kernelCost(options.turns)), ...(await agentCost(options.seconds)), ...wireBytes()];
}
