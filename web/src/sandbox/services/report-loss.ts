import type { Visit } from '../app';
import { REPORT_LOSS, type Done, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { guideForm, sectionOptions, shownFacts } from './guide';
import { outcome } from './outcome';

export function reportLoss(visit: Visit): Screen {
  const { card } = visit.viewer;
  return async () => {
    const { title, sections } = await guideForm(visit.gateway, 'REPORT_LOSS');
    const [shown, asked] = sections;
    const form = new ServiceForm<Done>(visit, {
      ...sectionOptions(asked!, visit.persona),
      intro: [shownFacts(shown!, { 'card.name': card?.name, 'card.cardNumber': card?.cardNumber })],
      submit: (input) => visit.gateway.ask<Done | Refusal>(REPORT_LOSS, { input }),
      done: (result) => visit.phone.replace(outcome(visit, '挂失成功', '卡已正式挂失。找到卡可以解挂，找不到可以补卡。', result)),
    });
    return { title, body: [form.element] };
  };
}
