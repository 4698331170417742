// The reference clients of both streaming protocols watch a card being made.
import { parseArgs } from 'node:util';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import WebSocket from 'ws';

const { values } = parseArgs({ options: { 'base-url': { type: 'string' } } });
const base = values['base-url'];
const PERSONA = 'in-production';
const WATCH = 'subscription { productionProgress { nodes { node result } } }';

async function post(path, body) {
  const response = await fetch(base + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.json();
}

async function signIn() {
  const handed = await post('/sandbox/authorize', { channel: 'UNIONPAY', persona: PERSONA });
  const reply = await post('/graphql', {
    query: 'mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }',
    variables: { i: { channel: 'UNIONPAY', ...handed } },
  });
  return reply.data.signIn.token;
}

function done(progress) {
  return progress.data.productionProgress.nodes.filter((node) => node.result === 'DONE').length;
}

async function watch(name, client) {
  const seen = [];
  for await (const progress of client.iterate({ query: WATCH })) {
    seen.push(done(progress));
    if (seen.length === 2) break;
    await post('/sandbox/issuer/advance', { persona: PERSONA });
  }
  if (seen[1] !== seen[0] + 1) throw new Error(`${name} saw ${seen}`);
  console.log(`${name}: ${seen[0]} nodes done, then ${seen[1]}`);
}

await post('/sandbox/reset', {});
const Authorization = `Bearer ${await signIn()}`;
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
