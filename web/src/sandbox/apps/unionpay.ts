import type { App } from '../app';
import { h } from '../dom';
import type { Screen } from '../phone';
import { serviceList } from '../services';
import { storePage, tiles } from './parts';
import { signIn } from './sign-in';

/** Install the app; 生活便利 — 我的社保; then 社保卡线上服务. */
export function unionpay(app: App): Screen {
  return storePage('云闪付', '云', () => app.phone.home(home(app)));
}

function home(app: App): Screen {
  return () => ({
    title: '云闪付',
    step: 2,
    body: [
      tiles([
        { glyph: '付', label: '收付款' },
        { glyph: '扫', label: '扫一扫' },
        { glyph: '乘', label: '出行' },
        { glyph: '卡', label: '卡管理' },
      ]),
      h('h4', {}, '生活便利'),
      tiles([
        { glyph: '保', label: '我的社保', open: () => app.phone.open(mySocialSecurity(app)) },
        { glyph: '缴', label: '生活缴费' },
        { glyph: '医', label: '医疗健康' },
        { glyph: '充', label: '手机充值' },
      ]),
    ],
  });
}

function mySocialSecurity(app: App): Screen {
  const enter = () => {
    const entering = signIn(app);
    app.phone.open(async () => serviceList((await entering).app, 3)());
  };
  return () => ({
    title: '我的社保',
    step: 3,
    body: [
      tiles([
        { glyph: '卡', label: '社保卡线上服务', open: enter },
        { glyph: '查', label: '社保查询' },
        { glyph: '证', label: '电子社保卡' },
      ]),
    ],
  });
}
