import type { App } from '../app';
import { h } from '../dom';
import type { Screen } from '../phone';
import { serviceList } from '../services';
import { storePage, tiles } from './parts';
import { signIn } from './sign-in';

/** Install the app; then 首页服务大厅 — 社保卡服务. */
export function pingAn(app: App): Screen {
  return storePage('城市一账通', '城', () => app.phone.home(home(app)));
}

function home(app: App): Screen {
  const enter = () => {
    const entering = signIn(app);
    app.phone.open(async () => serviceList((await entering).app, 2)());
  };
  return () => ({
    title: '城市一账通',
    step: 2,
    body: [
      h('p', { class: 'city' }, '成都', h('small', {}, '晴 18°')),
      h('h4', {}, '首页服务大厅'),
      tiles([
        { glyph: '卡', label: '社保卡服务', open: enter },
        { glyph: '金', label: '公积金' },
        { glyph: '医', label: '医保服务' },
        { glyph: '行', label: '交通出行' },
        { glyph: '学', label: '教育' },
        { glyph: '税', label: '税务' },
      ]),
    ],
  });
}
