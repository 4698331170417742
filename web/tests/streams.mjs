// The reference clients of both streaming protocols watch a card being made.
import { parseArgs } from 'node:util';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import WebSocket from 'ws';

import { post, signIn } from './gateway.mjs';

const { values } = parseArgs({ options: { 'base-url': { type: 'string' } } });
const base = values['base-url'];
const PERSONA = 'in-production';
const WATCH = 'subscription { productionProgress { nodes { node result } } }';

function done(progress) {
  return progress.data.productionProgress.nodes.filter((node) => node.result === 'DONE').length;
}

async function watch(name, client) {
  const seen = [];
  for await (const progress of client.iterate({ query: WATCH })) {
    seen.push(done(progress));
    if (seen.length === 2) break;
    await post(`${base}/sandbox/issuer/advance`, { persona: PERSONA });
  }
  if (seen[1] !== seen[0] + 1) throw new Error(`${name} saw ${seen}`);
  console.log(`${name}: ${seen[0]} nodes done, then ${seen[1]}`);
}

await post(`${base}/sandbox/reset`, {});
const Authorization = `Bearer ${await signIn(base, PERSONA)}`;
const socket = createSocketClient({
  url: `${base.replace('http', 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  connectionParams: { Authorization },
});
await watch('graphql-transport-ws', socket);
await socket.dispose();
const sse = createSseClient({ url: `${base}/graphql`, headers: { Authorization } });
await watch('graphql-sse', sse);
sse.dispose();
