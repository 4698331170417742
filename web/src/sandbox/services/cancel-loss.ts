import type { Visit } from '../app';
import { CANCEL_LOSS, type Done, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { guideForm, sectionOptions } from './guide';
import { outcome } from './outcome';

export function cancelLoss(visit: Visit): Screen {
  return async () => {
    const { title, sections } = await guideForm(visit.gateway, 'CANCEL_LOSS');
    const form = new ServiceForm<Done>(visit, {
      ...sectionOptions(sections[0]!, visit.persona),
      submit: (input) => visit.gateway.ask<Done | Refusal>(CANCEL_LOSS, { input }),
      done: (result) => visit.phone.replace(outcome(visit, '解挂成功', '卡已恢复挂失前的状态。', result)),
    });
    return { title, body: [form.element] };
  };
}
