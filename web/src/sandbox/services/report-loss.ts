import type { Visit } from '../app';
import { REPORT_LOSS, type Done, type Refusal } from '../documents';
import { facts } from '../dom';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { codeField, phoneField } from './fields';
import { outcome } from './outcome';

export function reportLoss(visit: Visit): Screen {
  const { card } = visit.viewer;
  return () => {
    const form = new ServiceForm<Done>(visit, {
      intro: [facts([['姓名', card?.name], ['卡号', card?.cardNumber]])],
      fields: [phoneField(visit.persona), codeField],
      code: { purpose: 'REPORT_LOSS', phoneField: 'phone' },
      submitLabel: '挂失',
      submit: (input) => visit.gateway.ask<Done | Refusal>(REPORT_LOSS, { input }),
      done: (result) => visit.phone.replace(outcome(visit, '挂失成功', '卡已正式挂失。找到卡可以解挂，找不到可以补卡。', result)),
    });
    return { title: '挂失', body: [form.element] };
  };
}
