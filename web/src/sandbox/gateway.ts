import { createClient } from 'graphql-ws';

import { VIEWER_QUERY, type Refusal, type Viewer } from './documents';

const ENDPOINT = '/graphql';

interface Answer {
  data?: Record<string, unknown> | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

/** A client of the gateway, with the session of one app or without a session. */
export class Gateway {
  constructor(private readonly token?: string) {}

  /** Executes an operation with one root field and returns its value. */
  async ask<T>(query: string, variables: object = {}): Promise<T> {
    const headers = { ...this.headers(), 'Content-Type': 'application/json' };
    return this.send<T>(headers, JSON.stringify({ query, variables }));
  }

  /** A mutation with one file, by the GraphQL multipart request specification. */
  async upload<T>(query: string, variables: object, file: Blob): Promise<T> {
    const body = new FormData();
    body.append('operations', JSON.stringify({ query, variables: { ...variables, file: null } }));
    body.append('map', JSON.stringify({ 0: ['variables.file'] }));
    body.append('0', file);
    return this.send<T>({ ...this.headers(), 'GraphQL-Preflight': '1' }, body);
  }

  viewer(): Promise<Viewer> {
    return this.ask(VIEWER_QUERY);
  }

  /**
   * Subscribes until the returned function is called. After a lost connection it resumes after the
   * last message: the next one lists in `changes` what was missed.
   */
  watch<T extends { cursor: string }>(
    query: string,
    onNext: (value: T) => void,
    onError: (message: string) => void,
  ): () => void {
    const url = new URL(ENDPOINT, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const client = createClient({ url: url.href, connectionParams: this.headers(), retryAttempts: 30 });
    // Read at each connection.
    const variables: { after?: string } = {};
    client.subscribe<Record<string, T>>(
      { query, variables },
      {
        next: ({ data }) => {
          if (!data) return;
          const value = Object.values(data)[0]!;
          variables.after = value.cursor;
          onNext(value);
        },
        error: () => onError('实时更新中断，请刷新 · Live updates stopped'),
        complete: () => undefined,
      },
    );
    return () => void client.dispose();
  }

  private headers(): Record<string, string> {
    const language = { 'Accept-Language': 'zh-CN' };
    return this.token ? { ...language, Authorization: `Bearer ${this.token}` } : language;
  }

  private async send<T>(headers: Record<string, string>, body: BodyInit): Promise<T> {
    const response = await fetch(ENDPOINT, { method: 'POST', headers, body });
    const { data, errors }: Answer = await response.json();
    if (errors?.length || !data) throw new Error(errors?.[0]?.message ?? `HTTP ${response.status}`);
    return Object.values(data)[0] as T;
  }
}

export function isRefusal(result: { __typename: string }): result is Refusal {
  return result.__typename === 'Refusal';
}
