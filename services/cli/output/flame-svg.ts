/**
 * A tree of stacks as a flame graph in SVG: a box a function, as wide as what was counted in it and below it, callers
 * below. No script: a browser shows a box's numbers when the pointer rests on it. With a baseline red is more, blue less.
 */
import type { StackNode } from '../../shared/contract/query.ts';
import { amount } from './units.ts';

const width = 1200;
const side = 10;
const rowHeight = 17;
const titleHeight = 40;
/** Boxes narrower than this are not drawn, nor what lies above them. */
const leastWidth = 0.2;
const letterWidth = 7;

/** What XML 1.0 cannot hold at all becomes a dot. */
const escaped = (text: string): string =>
  text
    .replace(
      /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udfff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
      '·',
    )
    .replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`);

export interface Flame {
  readonly nodes: readonly StackNode[];
  readonly title: string;
  readonly unit: string;
}

interface Box {
  readonly x: number;
  readonly width: number;
  readonly depth: number;
  /** Where the next child begins. */
  next: number;
}

export function flameSvg({ nodes, title, unit }: Flame): string {
  const compared = nodes[0]?.baselineValue !== undefined;
  // A stack that only the baseline has keeps a box, or nobody would see that it is gone.
  const size = nodes.map((n) => Math.max(0, Number(n.value), Number(n.baselineValue ?? 0)));
  const below = nodes.map(() => 0);
  nodes.forEach((n, i) => i > 0 && (below[n.parent]! += size[i]!));
  // Children may be larger than their parent's larger side where some grew and others shrank.
  for (let i = nodes.length - 1; i > 0; i--) {
    const grown = Math.max(size[i]!, below[i]!) - size[i]!;
    size[i]! += grown;
    below[nodes[i]!.parent]! += grown;
  }
  const whole = Math.max(size[0] ?? 0, below[0] ?? 0);
  const largestChange = nodes.reduce((n, node) => Math.max(n, Math.abs(changeOf(node))), 0);
  const boxes: Box[] = [];
  const drawn: { readonly box: Box; readonly node: StackNode }[] = [];
  nodes.forEach((node, i) => {
    const parent = i === 0 ? undefined : boxes[node.parent];
    const box: Box = parent
      ? { x: parent.next, width: (size[i]! / whole) * (width - 2 * side), depth: parent.depth + 1, next: parent.next }
      : { x: side, width: width - 2 * side, depth: 0, next: side };
    if (parent) parent.next += box.width;
    boxes.push(box);
    if (box.width >= leastWidth) drawn.push({ box, node });
  });
  const depth = drawn.reduce((most, { box }) => Math.max(most, box.depth), 0);
  const height = titleHeight + (depth + 1) * rowHeight + side;
  const total = Number(nodes[0]?.value ?? 0);
  const rects = drawn.map(({ box, node }) => {
    const y = height - side - (box.depth + 1) * rowHeight;
    const share = total > 0 ? ` (${((100 * Number(node.value)) / total).toFixed(2)} %)` : '';
    const before = compared ? `, before ${amount(node.baselineValue, unit)}` : '';
    const about = `${node.name}: ${amount(node.value, unit)}${share}${before}`;
    const room = Math.floor((box.width - 4) / letterWidth);
    const letters = [...node.name];
    const shown = letters.length <= room ? node.name : room >= 4 ? `${letters.slice(0, room - 1).join('')}…` : '';
    const text = shown ? `<text x="${fixed(box.x + 3)}" y="${y + 12}">${escaped(shown)}</text>` : '';
    const fill = compared ? changeColour(changeOf(node) / (largestChange || 1)) : colour(node.name);
    return `<g><title>${escaped(about)}</title><rect x="${fixed(box.x)}" y="${y}" width="${fixed(box.width)}" height="${rowHeight - 1}" fill="${fill}"/>${text}</g>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="12">
<rect width="${width}" height="${height}" fill="#fcfcfa"/>
<text x="${width / 2}" y="24" text-anchor="middle" font-size="16">${escaped(title)}</text>
${rects.join('')}</svg>
`;
}

const fixed = (n: number): string => n.toFixed(2);
const changeOf = (n: StackNode): number => Number(n.value) - Number(n.baselineValue ?? 0);

/** The same name has the same colour in every picture; the kernel's are blue. */
function colour(name: string): string {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
  const hue = name.endsWith('_[k]') ? 200 + (hash % 30) : 20 + (hash % 35);
  return `hsl(${hue},${70 + (hash % 20)}%,${64 + (hash % 12)}%)`;
}

/** From -1, all blue, to 1, all red. */
const changeColour = (change: number): string =>
  `hsl(${change < 0 ? 215 : 8},85%,${(95 - 40 * Math.sqrt(Math.abs(change))).toFixed(0)}%)`;
