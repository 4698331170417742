import type { Visit } from '../app';
import { CHANGE_CONTACT, CHANGE_PHONE, type Done, type Refusal } from '../documents';
import { h } from '../dom';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { codeField } from './fields';
import { outcome } from './outcome';

type Part = 'phone' | 'contact';

const PARTS: [Part, string][] = [
  ['phone', '手机号码变更'],
  ['contact', '其他信息变更'],
];

export function changeInfo(visit: Visit, chosen: Part = 'phone'): Screen {
  return () => {
    const form = chosen === 'phone' ? phoneForm(visit) : contactForm(visit);
    return { title: '信息变更', body: [parts(visit, chosen), form.element] };
  };
}

function parts(visit: Visit, chosen: Part): HTMLElement {
  return h(
    'div',
    { class: 'segments', role: 'group', 'aria-label': '变更内容' },
    ...PARTS.map(([part, label]) => {
      const choose = () => visit.phone.replace(changeInfo(visit, part));
      return h('button', { type: 'button', 'aria-pressed': String(part === chosen), onclick: choose }, label);
    }),
  );
}

function phoneForm(visit: Visit): ServiceForm<Done> {
  return new ServiceForm<Done>(visit, {
    fields: [
      { name: 'newPhone', label: '手机号码', kind: 'tel', placeholder: '请输入新手机号码', help: '验证码发送到新手机' },
      codeField,
    ],
    code: { purpose: 'CHANGE_PHONE', phoneField: 'newPhone' },
    submitLabel: '提交',
    submit: (input) => visit.gateway.ask<Done | Refusal>(CHANGE_PHONE, { input }),
    done: () => visit.phone.replace(outcome(visit, '变更成功', '手机号码已变更，原手机会收到通知。')),
  });
}

function contactForm(visit: Visit): ServiceForm<Done> {
  return new ServiceForm<Done>(visit, {
    fields: [
      { name: 'landline', label: '固定电话', kind: 'tel', optional: true },
      { name: 'registeredAddress', label: '户口所在地地址', optional: true },
      { name: 'residentialAddress', label: '常住地地址', optional: true },
      { name: 'residentialPostalCode', label: '常住地邮政编码', kind: 'digits', optional: true },
    ],
    submitLabel: '提交',
    submit: (values) => visit.gateway.ask<Done | Refusal>(CHANGE_CONTACT, { input: given(values) }),
    done: () => visit.phone.replace(outcome(visit, '变更成功', '填写的信息已更新。')),
  });
}

/** Only what is given changes. */
function given(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value));
}
