import type { Channel } from '../documents';
import { dateTime, english, h } from '../dom';
import { channelMessages, type ChannelMessage } from '../world';

const INTERVAL = 3000;

/** Every message that a platform delivered for the gateway, newest first. */
export function messagesPanel(channels: Channel[]): HTMLElement {
  const names = new Map(channels.map(({ id, appName }) => [id, appName]));
  const list = h('ol', { class: 'messages channel-messages', tabindex: '0', 'aria-label': '渠道消息' });
  let shown = '';

  const refresh = async () => {
    const messages = await channelMessages().catch(() => null);
    const state = JSON.stringify(messages);
    if (!messages || state === shown) return;
    shown = state;
    list.replaceChildren(...(messages.length ? messages.map((message) => entry(message, names.get(message.channel) ?? message.channel)) : [h('li', { class: 'empty' }, '还没有渠道消息')]));
  };

  setInterval(() => document.hidden || void refresh(), INTERVAL);
  document.addEventListener('sms', () => void refresh());
  void refresh();
  return h('section', { class: 'panel' }, h('h2', {}, '渠道消息 ', english('Messages in the apps')), list);
}

function entry({ persona, text, at }: ChannelMessage, appName: string): HTMLElement {
  return h(
    'li',
    {},
    h('p', { class: 'meta' }, h('strong', {}, `${appName} · ${persona ?? ''}`), h('time', { datetime: at }, dateTime(at))),
    h('p', {}, text),
  );
}
