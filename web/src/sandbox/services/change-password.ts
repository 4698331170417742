import type { Visit } from '../app';
import { CHANGE_PASSWORD, type Done, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { guideForm, sectionOptions } from './guide';
import { outcome } from './outcome';

export function changePassword(visit: Visit): Screen {
  return async () => {
    const { title, sections } = await guideForm(visit.gateway, 'CHANGE_PASSWORD');
    const section = sections[0]!;
    const form = new ServiceForm<Done>(visit, {
      ...sectionOptions(section, visit.persona),
      submit: (input) => visit.gateway.ask<Done | Refusal>(CHANGE_PASSWORD, { input }),
      done: () => visit.phone.replace(outcome(visit, '修改成功', '服务密码已修改，请牢记新密码。')),
    });
    return { title: section.title ?? title, body: [form.element] };
  };
}
