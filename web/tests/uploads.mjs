// Apollo Client with apollo-upload-client sends a portrait, as a React front-end would.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { ApolloClient, InMemoryCache, gql } from '@apollo/client';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';

const { values } = parseArgs({ options: { 'base-url': { type: 'string' }, portrait: { type: 'string' } } });
const base = values['base-url'];

async function post(path, body) {
  const response = await fetch(base + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.json();
}

async function signIn() {
  const handed = await post('/sandbox/authorize', { channel: 'UNIONPAY', persona: 'no-card' });
  const reply = await post('/graphql', {
    query: 'mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }',
    variables: { i: { channel: 'UNIONPAY', ...handed } },
  });
  return reply.data.signIn.token;
}

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: new UploadHttpLink({
    uri: `${base}/graphql`,
    headers: { Authorization: `Bearer ${await signIn()}` },
  }),
});
const file = new File([await readFile(values.portrait)], '照片.jpg', { type: 'image/jpeg' });
const { data } = await client.mutate({
  mutation: gql`
    mutation ($file: Upload!) {
      uploadPortrait(file: $file) {
        ... on PortraitPreview { portraitId accepted }
        ... on Refusal { code message }
      }
    }
  `,
  variables: { file },
});
console.log(`apollo-upload-client: ${data.uploadPortrait.__typename}`);
