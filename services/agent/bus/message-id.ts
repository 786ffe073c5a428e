/**
 * Nats-Msg-Id of a batch. The stream drops a message whose id it has seen, whatever it holds, so an id is never used
 * for two contents: it carries lineage, generation, the start of the agent and the number of the message in it.
 */
export const messageId = (uuid: string, generation: bigint, startId: string, sequence: bigint): string =>
  `${uuid}-${generation}-${startId}-${sequence}`;
