import type { Visit } from '../app';
import { INSURANCES, TRANSFER_IN, type Done, type Insurances, type Refusal } from '../documents';
import { h } from '../dom';
import { ServiceForm } from '../form';
import { isRefusal } from '../gateway';
import type { Screen } from '../phone';
import { cardNumberField, codeField, phoneField } from './fields';
import { outcome } from './outcome';

const HINT =
  '温馨提示：假如在省内其他市（州）办理了社会保障卡，在成都无需再办卡，可通过此功能模块将卡的归属地转入成都后使用；' +
  '如需办理参保关系转入，则需要前往社保局办理，详情可咨询 028-12333。';

export function transferIn(visit: Visit): Screen {
  return () => {
    const choices = h('div', { class: 'choices' }, h('p', { class: 'help' }, '请先查询险种'));
    const form = new ServiceForm<Done>(visit, {
      intro: [h('p', { class: 'hint' }, HINT)],
      fields: [
        { ...cardNumberField(visit.persona), action: { label: '查询险种', run: () => void query() } },
        { name: 'insurances', label: '成都参保险种选择', group: choices },
        phoneField(visit.persona),
        codeField,
      ],
      code: { purpose: 'TRANSFER_IN', phoneField: 'phone' },
      submitLabel: '确认转移',
      submit: (values) =>
        visit.gateway.ask<Done | Refusal>(TRANSFER_IN, { input: { ...values, insurances: chosen(choices) } }),
      done: (result) =>
        visit.phone.replace(outcome(visit, '转入成功', '卡的归属地已转入成都；参保关系转入请咨询 028-12333。', result)),
    });

    async function query(): Promise<void> {
      const variables = { cardNumber: form.value('cardNumber') };
      const found = await visit.gateway.ask<Insurances | Refusal>(INSURANCES, variables);
      if (isRefusal(found)) form.refuse(found);
      else choices.replaceChildren(...found.items.map(choice));
    }

    return { title: '卡归属地转入', body: [form.element] };
  };
}

function choice({ type, name, enrolled }: Insurances['items'][number]): HTMLElement {
  const box = h('input', { type: 'checkbox', value: type, disabled: !enrolled });
  return h('label', {}, box, name, !enrolled && h('small', {}, '未在成都参保'));
}

function chosen(choices: HTMLElement): string[] {
  return [...choices.querySelectorAll<HTMLInputElement>('input:checked')].map(({ value }) => value);
}
