import type { App } from '../app';
import type { Done } from '../documents';
import { button, facts, h } from '../dom';
import type { Screen } from '../phone';

/** What a citizen reads when a service is done. */
export function outcome(app: App, title: string, text: string, { card, applicationNumber, receipt }: Partial<Done> = {}): Screen {
  return () => ({
    title,
    body: [
      h('div', { class: 'outcome', role: 'status' }, h('i', { 'aria-hidden': 'true' }, '✓'), h('strong', {}, title), h('p', {}, text)),
      ...(applicationNumber ? [facts([['申请编号', applicationNumber]])] : []),
      ...(receipt ? [h('a', { class: 'receipt', href: receipt.pdfUrl, target: '_blank' }, '查看受理回执 (PDF)')] : []),
      ...(card ? [facts([['卡号', card.cardNumber], ['归属地', card.homeRegion], ['卡状态', card.stateName]])] : []),
      button('返回业务列表', () => app.phone.goBack()),
    ],
  });
}
