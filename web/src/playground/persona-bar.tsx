import { useEditorContext } from '@graphiql/react';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { flushSync } from 'react-dom';

import type { Persona } from '../sandbox/world';
import { SIGN_IN_AS } from './guide';
import { operationIn } from './operation';
import { latestCode, sendCode, signInAs, type ChannelChoice, type Session } from './sandbox';

/** What a code is sent for, by the operation that uses it. */
const PURPOSES: Record<string, string> = {
  ApplyCard: 'APPLY_CARD',
  ActivateCard: 'ACTIVATE_CARD',
  ReportLoss: 'REPORT_LOSS',
  CancelLoss: 'CANCEL_LOSS',
  ChangePhone: 'CHANGE_PHONE',
  TransferIn: 'TRANSFER_IN',
  ReissueCard: 'REISSUE_CARD',
};

type JsonObject = Record<string, unknown>;

/** The language of responses, and, with a sandbox, the personas to sign in as. */
export function PersonaBar({ personas, channels }: { personas: Persona[]; channels: ChannelChoice[] }) {
  return (
    <header className="persona-bar">
      {personas.length > 0 && <Personas personas={personas} channels={channels} />}
      <LanguageSwitch />
      {personas.length > 0 && (
        <a href="/sandbox/">
          沙盒页 <span lang="en">Sandbox</span>
        </a>
      )}
    </header>
  );
}

/** Writes `Accept-Language` into every tab: titles, messages and refusals use that language. */
function LanguageSwitch() {
  const [language, setLanguage] = useState(navigator.language.startsWith('zh') ? 'zh' : 'en');
  const tabs = useTabs();

  function choose(chosen: string) {
    setLanguage(chosen);
    tabs.writeHeaders({ 'Accept-Language': chosen });
  }

  return (
    <label>
      回答 <span lang="en">Answers</span>
      <select value={language} onChange={(event) => choose(event.target.value)}>
        <option value="zh">中文</option>
        <option value="en">English</option>
      </select>
    </label>
  );
}

/** Signs in as a persona of the sandbox and writes the session into every tab. */
function Personas({ personas, channels }: { personas: Persona[]; channels: ChannelChoice[] }) {
  const [channel, setChannel] = useState((channels.find((one) => !one.bindingRequired) ?? channels[0]!).id);
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

  function signIn(id: string) {
    const persona = personas.find((person) => person.id === id)!;
    void attempt(async () => {
      const opened = await signInAs(channel, persona);
      setSession(opened);
      tabs.writeSession(opened);
      return `已登录：${persona.name}（${persona.description}）`;
    });
  }

  useEffect(() => {
    const listen = (event: Event) => {
      const id = (event as CustomEvent<string>).detail;
      setPersonaId(id);
      signIn(id);
    };
    document.addEventListener(SIGN_IN_AS, listen);
    return () => document.removeEventListener(SIGN_IN_AS, listen);
  });

  function submit(event: FormEvent) {
    event.preventDefault();
    signIn(personaId);
  }

  /** Sends a code if the operation of the open tab needs one; otherwise uses the latest code. */
  function fillCode({ persona, token }: Session) {
    void attempt(async () => {
      const phone = tabs.activePhone() ?? persona.phone;
      const purpose = PURPOSES[tabs.activeOperation() ?? ''];
      const code = purpose ? await sendCode(token, purpose, phone) : await latestCode(phone);
      if (!code) return '还没有验证码短信 · No code has been sent yet';
      tabs.writeCode(code);
      return `已填入验证码 ${code}`;
    });
  }

  return (
    <>
      <form onSubmit={submit} aria-label="沙盒登录 · Sandbox sign-in">
        <label>
          渠道 <span lang="en">Channel</span>
          <select value={channel} onChange={(event) => setChannel(event.target.value)}>
            {channels.map(({ id, name }) => (
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
            获取验证码 <span lang="en">Get code</span>
          </button>
        )}
      </form>
      <output className={session ? 'signed-in' : undefined} aria-live="polite">
        {status}
      </output>
    </>
  );
}

/** Edits the tabs through GraphiQL's state: the open tab by its editors, the others directly. */
function useTabs() {
  const context = useEditorContext({ nonNull: true });
  const latest = useRef(context);
  latest.current = context;

  // Signing in takes a while and GraphiQL replaces the object of its open tab: always use the latest.
  function write(given: JsonObject, variables: (text?: string | null) => string | null | undefined) {
    // A tab that was just opened is known only after the pending rendering.
    flushSync(() => {});
    const { tabs, activeTabIndex, moveTab, headerEditor, variableEditor } = latest.current;
    const headers = (text?: string | null) => format({ ...parse(text), ...given });
    const changed = tabs.map((tab, index) =>
      index === activeTabIndex
        ? tab
        : { ...tab, headers: headers(tab.headers), variables: variables(tab.variables) ?? null },
    );
    // GraphiQL then fills the editors from the open tab, so write to the editors afterwards.
    flushSync(() => moveTab(changed));
    headerEditor?.setValue(headers(headerEditor.getValue()));
    variableEditor?.setValue(variables(variableEditor.getValue()) ?? '');
  }

  return {
    writeSession({ token, persona }: Session) {
      write({ Authorization: `Bearer ${token}` }, (text) => text && withPersona(text, persona));
    },

    writeHeaders(given: JsonObject) {
      write(given, (text) => text);
    },

    writeCode(code: string) {
      const { variableEditor } = latest.current;
      if (variableEditor) variableEditor.setValue(withInput(variableEditor.getValue(), { code }));
    },

    activeOperation(): string | undefined {
      return operationIn(latest.current.queryEditor?.getValue());
    },

    activePhone(): string | undefined {
      const { phone, newPhone } = inputOf(parse(latest.current.variableEditor?.getValue()));
      return [newPhone, phone].find((value): value is string => typeof value === 'string' && value !== '');
    },
  };
}

function withPersona(text: string, person: Persona): string {
  const variables = parse(text);
  const cardNumber = person.cardNumber ?? '';
  if ('cardNumber' in variables) return format({ ...variables, cardNumber });
  return withInput(text, {
    cardNumber,
    phone: person.phone,
    name: person.name,
    idNumber: person.socialSecurityNumber,
    oldPassword: person.servicePassword ?? '',
  });
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
