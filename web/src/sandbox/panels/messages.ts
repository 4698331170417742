import type { ChannelId } from '../documents';
import { dateTime, english, h } from '../dom';
import { channelMessages, type ChannelMessage } from '../world';

const INTERVAL = 3000;
const APPS: Record<ChannelId, string> = { WECHAT: '微信', UNIONPAY: '云闪付', PING_AN: '城市一账通' };

/** Every message that a platform delivered for the gateway, newest first. */
export function messagesPanel(): HTMLElement {
  const list = h('ol', { class: 'messages channel-messages', tabindex: '0', 'aria-label': '渠道消息' });
  let shown = '';

  const refresh = async () => {
    const messages = await channelMessages().catch(() => null);
    const state = JSON.stringify(messages);
    if (!messages || state === shown) return;
    shown = state;
    list.replaceChildren(...(messages.length ? messages.map(entry) : [h('li', { class: 'empty' }, '还没有渠道消息')]));
  };

  setInterval(() => document.hidden || void refresh(), INTERVAL);
  document.addEventListener('sms', () => void refresh());
  void refresh();
  return h('section', { class: 'panel' }, h('h2', {}, '渠道消息 ', english('Messages in the apps')), list);
}

function entry({ channel, persona, text, at }: ChannelMessage): HTMLElement {
  return h(
    'li',
    {},
    h('p', { class: 'meta' }, h('strong', {}, `${APPS[channel]} · ${persona ?? ''}`), h('time', { datetime: at }, dateTime(at))),
    h('p', {}, text),
  );
}
