/** The costs of the whole path on one host, in the order of the path. */
import { agentCost } from './agent-cost.ts';
import type { Figure } from './figure.ts';
import { kernelCost } from './kernel-cost.ts';
import { wireBytes } from './wire-bytes.ts';

export async function path(options: { readonly seconds: number }): Promise<Figure[]> {
  return [...(await kernelCost()), ...(await agentCost(options.seconds)), ...wireBytes()];
}
