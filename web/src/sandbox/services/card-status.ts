import type { Visit } from '../app';
import { CARD_STATUS, type CardStatus, type Refusal } from '../documents';
import { facts, h } from '../dom';
import { isRefusal } from '../gateway';
import type { Screen } from '../phone';

export function cardStatus({ gateway }: Visit): Screen {
  return async () => {
    const card = await gateway.ask<CardStatus | Refusal>(CARD_STATUS);
    if (isRefusal(card)) return { title: '卡状态信息', body: [h('p', { class: 'alert', role: 'alert' }, card.message)] };
    const rows = facts([
      ['姓名', card.name],
      ['社会保障号码', card.socialSecurityNumber],
      ['卡号', card.cardNumber],
      ['发卡日期', card.issueDate],
      ['发卡银行', card.bank],
      ['归属地', card.homeRegion],
      ['卡状态', card.stateName],
    ]);
    return { title: '卡状态信息', body: [rows] };
  };
}
