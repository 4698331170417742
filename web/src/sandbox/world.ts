/** The sandbox's own endpoints: personas, the platforms, the SMS inbox, the card issuer and the clock. */

import type { ChannelId } from './documents';

export interface Persona {
  id: string;
  name: string;
  socialSecurityNumber: string;
  phone: string;
  cardNumber: string | null;
  servicePassword: string | null;
  description: string;
}

export interface Message {
  phone: string;
  text: string;
  code: string | null;
  purpose: string | null;
  at: string;
}

/** A message that an app's platform delivered for the gateway. */
export interface ChannelMessage {
  channel: ChannelId;
  persona: string | null;
  text: string;
  at: string;
}

export interface Authorization {
  credential: string;
  state: string;
}

export const personas = (): Promise<Persona[]> => get('personas');

export const authorize = (channel: ChannelId, persona: string): Promise<Authorization> =>
  post('authorize', { channel, persona }).then((response) => response.json());

export const inbox = (phone?: string): Promise<Message[]> =>
  get(phone ? `sms?phone=${encodeURIComponent(phone)}` : 'sms');

export const channelMessages = (): Promise<ChannelMessage[]> => get('messages');

/** Follows the official account; returns the gateway's greeting. */
export const follow = (persona: string): Promise<string | null> =>
  post('wechat/follow', { persona })
    .then((response) => response.json())
    .then(({ reply }) => reply);

export const unfollow = (persona: string): Promise<Response> => post('wechat/unfollow', { persona });

/** What the card issuer reports: the result of the next production node, or an event of a card. */
export type IssuerReport = { result: 'DONE' | 'FAILED' } | { event: 'TEMPORARY_LOSS' | 'LOCK' | 'UNLOCK' | 'CANCEL' };

export const advanceIssuer = (persona: string, report: IssuerReport): Promise<Response> =>
  post('issuer/advance', { persona, ...report });

/** The time of gateway, platforms and partners. */
export interface Clock {
  now: string;
}

export const clock = (): Promise<Clock> => get('clock');

/** Moves the time on by an ISO 8601 duration. */
export const moveClock = (advance: string): Promise<Clock> =>
  post('clock', { advance }).then((response) => response.json());

export const reset = (): Promise<Response> => post('reset', {});

async function get<T>(path: string): Promise<T> {
  const response = await fetch(`/sandbox/${path}`);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}

async function post(path: string, body: object): Promise<Response> {
  const response = await fetch(`/sandbox/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await reason(response));
  return response;
}

async function reason(response: Response): Promise<string> {
  const { error } = await response.json().catch(() => ({ error: null }));
  return error ?? `HTTP ${response.status}`;
}
