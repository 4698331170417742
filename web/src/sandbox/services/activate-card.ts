import type { Visit } from '../app';
import { ACTIVATE_CARD, type Done, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { guideForm, sectionOptions } from './guide';
import { outcome } from './outcome';

export function activateCard(visit: Visit): Screen {
  return async () => {
    const { title, sections } = await guideForm(visit.gateway, 'ACTIVATE_CARD');
    const form = new ServiceForm<Done>(visit, {
      ...sectionOptions(sections[0]!, visit.persona),
      submit: (input) => visit.gateway.ask<Done | Refusal>(ACTIVATE_CARD, { input }),
      done: (result) =>
        visit.phone.replace(outcome(visit, '激活成功', '人社功能已激活，服务密码已发送到您的手机；金融功能请到银行网点开通。', result)),
    });
    return { title, body: [form.element] };
  };
}
