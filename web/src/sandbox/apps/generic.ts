import type { App } from '../app';
import type { Channel } from '../documents';
import { button, h } from '../dom';
import type { Screen } from '../phone';
import { serviceList } from '../services';
import { bindCard, signIn } from './sign-in';

/** An app without screens of its own: the last of its entry steps opens the card services. */
export function genericApp(app: App, channel: Channel): Screen {
  const last = channel.entrySteps.length;
  const steps = channel.entrySteps.map(({ instruction }) => h('li', {}, instruction));
  return () => ({
    title: channel.appName,
    step: last,
    body: [h('ol', {}, ...steps), button('进入', () => app.phone.open(services(app, channel, last)))],
  });
}

function services(app: App, channel: Channel, step: number): Screen {
  const entering = signIn(app);
  return async () => {
    const { app: signedIn, bound } = await entering;
    const mustBind = channel.bindingRequired && !bound;
    if (mustBind) return bindCard(signedIn, step, (after) => app.phone.replace(serviceList(after, step)))();
    return serviceList(signedIn, step)();
  };
}
