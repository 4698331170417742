// Apollo Client with apollo-upload-client sends a portrait, as a React front-end would.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { ApolloClient, InMemoryCache, gql } from '@apollo/client';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';

import { signIn } from './gateway.mjs';

const { values } = parseArgs({ options: { 'base-url': { type: 'string' }, portrait: { type: 'string' } } });
const base = values['base-url'];

const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: new UploadHttpLink({
    uri: `${base}/graphql`,
    headers: { Authorization: `Bearer ${await signIn(base, 'no-card')}` },
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
