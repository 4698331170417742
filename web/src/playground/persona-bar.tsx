import { useEditorContext } from '@graphiql/react';
import { useRef, useState, type FormEvent } from 'react';

import { latestCode, signInAs, type ChannelId, type Persona, type Session } from './sandbox';

const CHANNELS: [ChannelId, string][] = [
  ['WECHAT', '微信公众号「成都人社局」'],
  ['UNIONPAY', '银联「云闪付」'],
  ['PING_AN', '平安「城市一账通」'],
];

type JsonObject = Record<string, unknown>;

/** Signs in as a persona of the sandbox and writes the session into every tab. */
export function PersonaBar({ personas }: { personas: Persona[] }) {
  const [channel, setChannel] = useState<ChannelId>('UNIONPAY');
  const [personaId, setPersonaId] = useState(personas[0]!.id);
  const [session, setSession] = useState<Session | null>(null);
  const [status, setStatus] = useState('未登录 · Signed out');
  const [busy, setBusy] = useState(false);
  const tabs = useTabs();

  async function attempt(action: () => Promise<string>) {
    setBusy(true);
    try {
      setStatus(await action());
    } catch (error) {
      setStatus(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  }

  function signIn(event: FormEvent) {
    event.preventDefault();
    const persona = personas.find(({ id }) => id === personaId)!;
    void attempt(async () => {
      const opened = await signInAs(channel, persona);
      setSession(opened);
      tabs.writeSession(opened);
      return `已登录:${persona.name}(${persona.description})`;
    });
  }

  function fillCode({ persona }: Session) {
    void attempt(async () => {
      const code = await latestCode(tabs.activePhone() ?? persona.phone);
      if (!code) return '还没有验证码短信 · No code has been sent yet';
      tabs.writeCode(code);
      return `已填入验证码 ${code}`;
    });
  }

  return (
    <header className="persona-bar">
      <strong className="persona-bar-title">
        沙盒人物 <span lang="en">Personas</span>
      </strong>
      <form onSubmit={signIn}>
        <label>
          渠道 <span lang="en">Channel</span>
          <select value={channel} onChange={(event) => setChannel(event.target.value as ChannelId)}>
            {CHANNELS.map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          人物 <span lang="en">Persona</span>
          <select value={personaId} onChange={(event) => setPersonaId(event.target.value)}>
            {personas.map(({ id, name, description }) => (
              <option key={id} value={id}>
                {name} · {id} · {description}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" disabled={busy}>
          登录 <span lang="en">Sign in</span>
        </button>
        {session && (
          <button type="button" className="quiet" disabled={busy} onClick={() => fillCode(session)}>
            填入验证码 <span lang="en">Fill code</span>
          </button>
        )}
      </form>
      <output className={session ? 'signed-in' : undefined} aria-live="polite">
        {status}
      </output>
      <a href="/sandbox/">
        沙盒页 <span lang="en">Sandbox</span>
      </a>
    </header>
  );
}

/** Edits the tabs through GraphiQL's own state: the open tab by its editors, the others in place. */
function useTabs() {
  const context = useEditorContext({ nonNull: true });
  const latest = useRef(context);
  latest.current = context;

  // Signing in takes a while, and GraphiQL knows its open tab by identity: always ask for the latest.
  return {
    writeSession({ token, persona }: Session) {
      const { tabs, activeTabIndex, moveTab, headerEditor, variableEditor } = latest.current;
      const headers = (text?: string | null) => format({ ...parse(text), Authorization: `Bearer ${token}` });
      const variables = (text?: string | null) => text && withPersona(text, persona);
      moveTab(
        tabs.map((tab, index) =>
          index === activeTabIndex
            ? tab
            : { ...tab, headers: headers(tab.headers), variables: variables(tab.variables) },
        ),
      );
      headerEditor?.setValue(headers(headerEditor.getValue()));
      variableEditor?.setValue(variables(variableEditor.getValue()) ?? '');
    },

    writeCode(code: string) {
      const { variableEditor } = latest.current;
      if (variableEditor) variableEditor.setValue(withInput(variableEditor.getValue(), { code }));
    },

    activePhone(): string | undefined {
      const { phone, newPhone } = inputOf(parse(latest.current.variableEditor?.getValue()));
      return [newPhone, phone].find((value): value is string => typeof value === 'string' && value !== '');
    },
  };
}

function withPersona(text: string, { phone, cardNumber }: Persona): string {
  const variables = parse(text);
  if ('cardNumber' in variables) return format({ ...variables, cardNumber: cardNumber ?? '' });
  return withInput(text, { phone, cardNumber: cardNumber ?? '' });
}

/** Sets the given fields of `input`, those that it has. */
function withInput(text: string, values: JsonObject): string {
  const variables = parse(text);
  const input = inputOf(variables);
  const known = Object.entries(values).filter(([name]) => name in input);
  return known.length ? format({ ...variables, input: { ...input, ...Object.fromEntries(known) } }) : text;
}

function inputOf({ input }: JsonObject): JsonObject {
  return typeof input === 'object' && input ? (input as JsonObject) : {};
}

function parse(text?: string | null): JsonObject {
  try {
    return JSON.parse(text || '{}');
  } catch {
    return {};
  }
}

function format(value: JsonObject): string {
  return JSON.stringify(value, null, 2);
}
