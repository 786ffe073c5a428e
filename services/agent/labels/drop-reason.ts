/** drop_reason: why the kernel dropped a packet, by the running kernel's own names, which the loader put into the schema. */
export { enumeration as dropReason } from './enum.ts';
