import type { Visit } from '../app';
import { ACTIVATE_CARD, type Done, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { cardNumberField, codeField, phoneField } from './fields';
import { outcome } from './outcome';

export function activateCard(visit: Visit): Screen {
  return () => {
    const form = new ServiceForm<Done>(visit, {
      fields: [{ ...phoneField(visit.persona), help: '申办时绑定的手机号码' }, cardNumberField(visit.persona), codeField],
      code: { purpose: 'ACTIVATE_CARD', phoneField: 'phone' },
      submitLabel: '激活人社功能',
      submit: (input) => visit.gateway.ask<Done | Refusal>(ACTIVATE_CARD, { input }),
      done: (result) =>
        visit.phone.replace(outcome(visit, '激活成功', '人社功能已激活，服务密码已发送到您的手机；金融功能请到银行网点开通。', result)),
    });
    return { title: '激活', body: [form.element] };
  };
}
