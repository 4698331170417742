import type { Visit } from '../app';
import { CANCEL_LOSS, type Done, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { cardNumberField, codeField, phoneField } from './fields';
import { outcome } from './outcome';

export function cancelLoss(visit: Visit): Screen {
  return () => {
    const form = new ServiceForm<Done>(visit, {
      fields: [phoneField(visit.persona), cardNumberField(visit.persona), codeField],
      code: { purpose: 'CANCEL_LOSS', phoneField: 'phone' },
      submitLabel: '解挂',
      submit: (input) => visit.gateway.ask<Done | Refusal>(CANCEL_LOSS, { input }),
      done: (result) => visit.phone.replace(outcome(visit, '解挂成功', '卡已恢复挂失前的状态。', result)),
    });
    return { title: '解挂', body: [form.element] };
  };
}
