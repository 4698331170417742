import { dateTime, english, h } from '../dom';
import { fillCode } from '../form';
import { inbox, type Message } from '../world';

const INTERVAL = 3000;

/** Every SMS that the gateway sent, newest first. */
export function inboxPanel(): HTMLElement {
  const list = h('ol', { class: 'messages', tabindex: '0', 'aria-label': '短信' });
  let shown = '';

  const refresh = async () => {
    const messages = await inbox().catch(() => null);
    const state = JSON.stringify(messages);
    if (!messages || state === shown) return;
    shown = state;
    list.replaceChildren(...(messages.length ? messages.map(entry) : [h('li', { class: 'empty' }, '还没有短信')]));
  };

  setInterval(() => document.hidden || void refresh(), INTERVAL);
  document.addEventListener('sms', () => void refresh());
  void refresh();
  return h('section', { class: 'panel inbox' }, h('h2', {}, '短信收件箱 ', english('SMS inbox')), list);
}

function entry({ phone, text, code, at }: Message): HTMLElement {
  const fill = () => fillCode(phone, code!);
  return h(
    'li',
    {},
    h('p', { class: 'meta' }, h('strong', {}, phone), h('time', { datetime: at }, dateTime(at))),
    h('p', {}, text),
    code && h('button', { type: 'button', class: 'fill', onclick: fill }, `填入 ${code}`),
  );
}
