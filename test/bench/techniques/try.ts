import { batchingIn, batchingOut } from './reading-rows.ts';
import { pins, fleet } from './recovery-rows.ts';
for (const f of [batchingIn, batchingOut, pins, fleet]) console.log(JSON.stringify(await f(2), null, 1));
