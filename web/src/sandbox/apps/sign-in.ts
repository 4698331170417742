import type { App } from '../app';
import { BIND_CARD, SIGN_IN, type CardBound, type Refusal, type SignedIn } from '../documents';
import { ServiceForm } from '../form';
import { Gateway, isRefusal } from '../gateway';
import type { Screen } from '../phone';
import { codeField, phoneField } from '../services/fields';
import { authorize } from '../world';

/** Exchanges the credential of the app for a session of the gateway. */
export async function signIn(app: App): Promise<{ app: App; bound: boolean }> {
  const authorization = await authorize(app.channel, app.persona.id);
  const result = await app.gateway.ask<SignedIn | Refusal>(SIGN_IN, { input: { channel: app.channel, ...authorization } });
  if (isRefusal(result)) throw new Error(result.message);
  return { app: withToken(app, result.token), bound: result.viewer.bound };
}

/** `bound` gets the app with the token that replaces its own. */
export function bindCard(app: App, step: number, bound: (app: App) => void): Screen {
  return () => {
    const form = new ServiceForm<CardBound>(app, {
      fields: [
        { name: 'name', label: '姓名', known: app.persona.name },
        { name: 'socialSecurityNumber', label: '社会保障号码', known: app.persona.socialSecurityNumber },
        phoneField(app.persona),
        codeField,
      ],
      code: { purpose: 'BIND_CARD', phoneField: 'phone' },
      submitLabel: '绑卡',
      submit: (input) => app.gateway.ask<CardBound | Refusal>(BIND_CARD, { input }),
      done: ({ token }) => bound(withToken(app, token)),
    });
    return { title: '绑卡', step, body: [form.element] };
  };
}

function withToken(app: App, token: string): App {
  return { ...app, gateway: new Gateway(token) };
}
