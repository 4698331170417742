import type { App } from '../app';
import { button, h } from '../dom';
import type { Screen, View } from '../phone';
import { serviceList } from '../services';
import { follow, unfollow } from '../world';
import { bindCard, signIn } from './sign-in';

const BOUND = '绑卡成功。现在可以从「微服务 — 新社保卡」办理社会保障卡业务。';

/** Follow the account; the first time 微服务 — 社保查询 and 绑卡; then 微服务 — 新社保卡. */
export function wechat(app: App): Screen {
  return () => ({
    title: '公众号',
    step: 1,
    body: [
      h(
        'div',
        { class: 'store' },
        h('i', { 'aria-hidden': 'true' }, '社'),
        h('strong', {}, '成都人社局'),
        h('p', {}, '成都市人力资源和社会保障局'),
        button('关注公众号', () => app.phone.home(followed(app))),
      ),
    ],
  });
}

/** The greeting is the gateway's reply to the platform's callback. */
function followed(app: App): Screen {
  const greeting = follow(app.persona.id);
  return async () => account(app, (await greeting) ?? '', 2)();
}

function account(app: App, greeting: string, step: number): Screen {
  return () => ({
    title: '成都人社局',
    step,
    body: [
      h('div', { class: 'chat' }, h('i', { 'aria-hidden': 'true' }, '社'), h('p', {}, ...linked(greeting, () => app.phone.open(enquiry(app))))),
      h('p', { class: 'leave' }, button('取消关注', () => void leave(app), 'link')),
    ],
    footer: menu([
      ['社保查询', () => app.phone.open(enquiry(app))],
      ['新社保卡', () => app.phone.open(newCard(app))],
    ]),
  });
}

/** WeChat turns a URL in a message into a link; this one opens 社保查询, the page for binding. */
function linked(text: string, open: () => void): (string | HTMLElement)[] {
  return text.split(/(https?:\/\/\S+)/).map((part, index) => (index % 2 ? button(part, open, 'link') : part));
}

/** The platform notifies the gateway, which deletes the binding, its sessions and the channel's data. */
async function leave(app: App): Promise<void> {
  await unfollow(app.persona.id);
  app.phone.restart();
}

function menu(items: [label: string, open: () => void][]): HTMLElement {
  const list = h('div', { class: 'submenu', id: 'wechat-menu', hidden: true }, ...items.map(([label, open]) => button(label, open, 'plain')));
  const toggle = h('button', {
    type: 'button',
    class: 'plain',
    'aria-expanded': 'false',
    'aria-controls': 'wechat-menu',
    onclick: () => {
      list.hidden = !list.hidden;
      toggle.setAttribute('aria-expanded', String(!list.hidden));
    },
  });
  toggle.append('≡ 微服务');
  return h('div', { class: 'account-menu' }, list, toggle);
}

function enquiry(app: App): Screen {
  const entering = signIn(app);
  return async (): Promise<View> => {
    const { app: signedIn, bound } = await entering;
    const again = () => app.phone.home(account(app, BOUND, 3));
    if (!bound) return bindCard(signedIn, 2, again)();
    return { title: '社保查询', step: 2, body: [h('p', { class: 'hint' }, '您已绑卡。'), button('返回公众号', again)] };
  };
}

function newCard(app: App): Screen {
  const entering = signIn(app);
  return async (): Promise<View> => {
    const { app: signedIn, bound } = await entering;
    if (!bound) return bindCard(signedIn, 2, (after) => app.phone.replace(serviceList(after, 3)))();
    return serviceList(signedIn, 3)();
  };
}
