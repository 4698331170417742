import './sandbox.css';

import type { App } from './app';
import { genericApp } from './apps/generic';
import { pingAn } from './apps/ping-an';
import { unionpay } from './apps/unionpay';
import { wechat } from './apps/wechat';
import { CHANNELS, type Channel } from './documents';
import { errorText, h } from './dom';
import { Gateway } from './gateway';
import { clockPanel } from './panels/clock';
import { inboxPanel } from './panels/inbox';
import { issuerDesk } from './panels/issuer';
import { messagesPanel } from './panels/messages';
import { personaPicker, personaTable } from './panels/personas';
import { Phone, type Screen } from './phone';
import { personas, reset, type Persona } from './world';

/** Channels whose app is drawn in detail; any other one shows its entry steps. */
const APPS: Record<string, (app: App) => Screen> = { WECHAT: wechat, UNIONPAY: unionpay, PING_AN: pingAn };

async function start(main: HTMLElement): Promise<void> {
  const gateway = new Gateway();
  const [people, channels] = await Promise.all([personas(), gateway.ask<Channel[]>(CHANNELS)]);
  let owner = people[0]!;

  const phones = channels.map((channel) => {
    const enter: Screen = () => {
      const app = { channel: channel.id, phone, persona: owner, gateway };
      return (APPS[channel.id]?.(app) ?? genericApp(app, channel))();
    };
    const phone: Phone = new Phone(channel, enter);
    return phone;
  });
  const restart = () => phones.forEach((phone) => phone.restart());
  const desk = issuerDesk(people);

  const choose = (persona: Persona) => {
    owner = persona;
    desk.choose(persona);
    restart();
  };

  main.replaceChildren(
    personaPicker(people, choose),
    h('div', { class: 'apps' }, ...phones.map(({ element }) => element)),
    h('div', { class: 'panels' }, inboxPanel(), messagesPanel(channels), desk.element, clockPanel()),
    personaTable(people),
  );
  connectReset(restart);
  restart();
}

function connectReset(restart: () => void): void {
  const resetButton = document.querySelector<HTMLButtonElement>('#reset')!;
  const status = document.querySelector('#reset-status')!;
  resetButton.addEventListener('click', async () => {
    resetButton.disabled = true;
    try {
      await reset();
      restart();
      document.dispatchEvent(new Event('sms'));
      status.textContent = '已恢复原状 · Reset';
    } catch (error) {
      status.textContent = errorText(error);
    } finally {
      resetButton.disabled = false;
    }
  });
}

const main = document.querySelector('main')!;
start(main).catch((error) => main.replaceChildren(h('p', { class: 'alert', role: 'alert' }, errorText(error))));
