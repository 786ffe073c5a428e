/** Port: the bus as an agent uses it. Real: adapters/nats-agent-bus.ts. Fake: test/simulation. One contract suite for both. */
export interface AgentBus {
  /**
   * Stores one message durably; resolves when the stream has it. `id` makes a repeat within the dedup window harmless.
   * Rejects with MusterError bus/publish (unknown or not stored), bus/stream-full, bus/unreachable.
   */
  publish(subject: string, id: string, payload: Uint8Array): Promise<void>;
  /** Delivers messages on a core subject, at most once each. */
  subscribe(subject: string, deliver: (payload: Uint8Array) => void): void;
  /** False while publishing is known to fail: the agent then does not even read. Absent: not known. */
  isUp?(): boolean;
  close(): Promise<void>;
}
