/** Requests without a client library, to bring the sandbox into the state that a client is tested in. */

export async function post(url, body) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.json();
}

/** The token of a persona's session. */
export async function signIn(base, persona) {
  const handed = await post(`${base}/sandbox/authorize`, { channel: 'UNIONPAY', persona });
  const reply = await post(`${base}/graphql`, {
    query: 'mutation($i: SignInInput!) { signIn(input: $i) { ... on SignedIn { token } } }',
    variables: { i: { channel: 'UNIONPAY', ...handed } },
  });
  return reply.data.signIn.token;
}
