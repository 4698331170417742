import type { Visit } from '../app';
import { PRODUCTION_PROGRESS, PROGRESS_LIVE, type ProductionProgress, type Refusal } from '../documents';
import { dateTime, facts, h } from '../dom';
import { isRefusal } from '../gateway';
import type { Screen } from '../phone';

export function productionProgress({ gateway }: Visit): Screen {
  return async () => {
    const progress = await gateway.ask<ProductionProgress | Refusal>(PRODUCTION_PROGRESS);
    if (isRefusal(progress)) return { title: '制卡进度详情', body: [h('p', { class: 'alert', role: 'alert' }, progress.message)] };

    const details = h('div', {}, ...describe(progress));
    const live = h('p', { class: 'live', role: 'status' }, '实时更新中');
    const stop = gateway.watch<ProductionProgress>(
      PROGRESS_LIVE,
      (news) => details.replaceChildren(...describe(news)),
      (message) => (live.textContent = message),
    );
    return { title: '制卡进度详情', body: [live, details], leave: stop };
  };
}

function describe(progress: ProductionProgress): Node[] {
  const { socialSecurityNumber, name, batchNumber, cardNumber, bank, nodes, estimate } = progress;
  return [
    facts([
      ['社会保障号码', socialSecurityNumber],
      ['姓名', name],
      ['制卡批次号', batchNumber],
      ['卡号', cardNumber],
      ['发卡银行', bank],
    ]),
    ...(estimate ? [h('p', { class: 'hint' }, estimate.message)] : []),
    h('ol', { class: 'nodes' }, ...nodes.map(node)),
  ];
}

function node({ node: id, title, result, resultTitle, at, message }: ProductionProgress['nodes'][number]): HTMLElement {
  return h(
    'li',
    { class: `node-${result.toLowerCase().replace('_', '-')}`, 'data-node': id, 'data-result': result },
    h('strong', {}, title),
    h('span', { class: 'result' }, `办理结果：${resultTitle}`),
    at && h('time', { datetime: at }, `办理时间：${dateTime(at)}`),
    message && h('span', { class: 'note' }, message),
  );
}
