/** The least that any agent in Node costs: a client of NATS that publishes one message a second and has it confirmed. */
import { createNatsAgentBus } from '../../services/shared/adapters/nats-agent-bus.ts';
import { batchSubject } from '../../services/shared/contract/subjects.ts';
import { silentLog } from '../../services/shared/runtime/log.ts';

const bus = createNatsAgentBus({ address: process.argv[2]!, name: 'bare', log: silentLog });
await bus.ready;
const payload = new Uint8Array(2000);
let sent = 0;
setInterval(() => {
  bus.publish(batchSubject('bare'), `bare-${process.pid}-${sent++}`, payload).catch((error: unknown) => {
    process.stderr.write(`bare client: ${String(error)}\n`);
    process.exit(1);
  });
}, 1000);
process.stdout.write('{"ready":"bare"}\n');
