import type { Visit } from '../app';
import { INSURANCES, TRANSFER_IN, type Done, type Insurances, type Refusal } from '../documents';
import { h } from '../dom';
import { ServiceForm, type Field } from '../form';
import { isRefusal } from '../gateway';
import type { Screen } from '../phone';
import { guideForm, sectionOptions } from './guide';
import { outcome } from './outcome';

export function transferIn(visit: Visit): Screen {
  return async () => {
    const { title, tips, sections } = await guideForm(visit.gateway, 'TRANSFER_IN');
    const section = sections[0]!;
    const words = sectionOptions(section, visit.persona);
    const choices = h('div', { class: 'choices' }, h('p', { class: 'help' }, '请先查询险种'));
    const additions: Record<string, Partial<Field>> = {
      cardNumber: { action: { label: section.fields[0]!.button!.label, run: () => void query() } },
      insurances: { group: choices },
    };
    const form = new ServiceForm<Done>(visit, {
      ...words,
      intro: tips.map((tip) => h('p', { class: 'hint' }, tip)),
      fields: words.fields.map((field) => ({ ...field, ...additions[field.name] })),
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

    return { title, body: [form.element] };
  };
}

function choice({ type, name, enrolled }: Insurances['items'][number]): HTMLElement {
  const box = h('input', { type: 'checkbox', value: type, disabled: !enrolled });
  return h('label', {}, box, name, !enrolled && h('small', {}, '未在成都参保'));
}

function chosen(choices: HTMLElement): string[] {
  return [...choices.querySelectorAll<HTMLInputElement>('input:checked')].map(({ value }) => value);
}
