import { agentBusContract } from './agent-bus.ts';
import { FakeBroker } from '../simulation/fake-agent-bus.ts';

agentBusContract('the fake', async () => {
  const broker = new FakeBroker();
  const bus = broker.connect();
  return {
    bus,
    createStream: async (bytesMax = Infinity) => broker.createStream(bytesMax),
    stored: async () => broker.stored(),
    tell: async (subject, payload) => broker.tell(subject, payload),
    down: async () => broker.down(),
    up: async () => broker.up(),
    close: () => bus.close(),
  };
});
