import type { Channel } from '../sandbox/documents';
import type { Persona } from '../sandbox/world';
import { BIND_CARD, CHANNEL_NAMES, SEND_CODE, SIGN_IN } from './documents';

export type ChannelChoice = Pick<Channel, 'id' | 'name' | 'bindingRequired'>;

export interface Session {
  token: string;
  channel: string;
  persona: Persona;
}

interface Message {
  code: string | null;
  purpose: string | null;
}

interface Viewer {
  bound: boolean;
}

type SignInResult = { token: string; viewer: Viewer } | { message: string };

/** The personas, or nothing when the server runs without its sandbox. */
export async function personas(): Promise<Persona[]> {
  const response = await fetch('/sandbox/personas');
  return response.ok ? response.json() : [];
}

export const channels = (): Promise<ChannelChoice[]> => graphql('channels', CHANNEL_NAMES, {});

/** Signs in as the app would, and binds if the channel's platform proves no identity. */
export async function signInAs(channel: string, persona: Persona): Promise<Session> {
  const authorization = await postJson('/sandbox/authorize', { channel, persona: persona.id });
  const signedIn: SignInResult = await graphql('signIn', SIGN_IN, { input: { channel, ...authorization } });
  if (!('token' in signedIn)) throw new Error(signedIn.message);
  const token = signedIn.viewer.bound ? signedIn.token : await bindCard(signedIn.token, persona);
  return { token, channel, persona };
}

export async function latestCode(phone: string, purpose?: string): Promise<string | null> {
  const response = await fetch(`/sandbox/sms?phone=${encodeURIComponent(phone)}`);
  const messages: Message[] = await response.json();
  return messages.find(({ code, purpose: sentFor }) => code && (!purpose || purpose === sentFor))?.code ?? null;
}

/** Asks for a code and waits for its SMS. */
export async function sendCode(token: string, purpose: string, phone: string): Promise<string> {
  const before = await latestCode(phone, purpose);
  refuse(await graphql('sendVerificationCode', SEND_CODE, { purpose, phone }, token));
  return nextCode(phone, purpose, before);
}

/** The code that arrives after the one known before: an SMS takes a moment. */
async function nextCode(phone: string, purpose: string, before: string | null): Promise<string> {
  for (let tries = 0; tries < 20; tries += 1) {
    const code = await latestCode(phone, purpose);
    if (code && code !== before) return code;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error('验证码短信没有送达 · The code has not arrived');
}

/** The token that replaces the given one. */
async function bindCard(token: string, { name, socialSecurityNumber, phone }: Persona): Promise<string> {
  const code = await sendCode(token, 'BIND_CARD', phone);
  const bound = await graphql('bindCard', BIND_CARD, { input: { name, socialSecurityNumber, phone, code } }, token);
  refuse(bound);
  return bound.token;
}

function refuse(result: object): void {
  if ('message' in result) throw new Error(String(result.message));
}

async function graphql(field: string, query: string, variables: object, token?: string) {
  const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
  const { data, errors } = await postJson('/graphql', { query, variables }, headers);
  if (!data) throw new Error(errors?.[0]?.message ?? '请求失败 · The request failed');
  return data[field];
}

async function postJson(path: string, body: object, headers?: Record<string, string>) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return response.json();
}
