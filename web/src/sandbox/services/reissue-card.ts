import type { Visit } from '../app';
import { REISSUE_CARD, type Done, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { guideForm, sectionOptions } from './guide';
import { outcome } from './outcome';
import { followOutlets } from './outlets';

export function reissueCard(visit: Visit): Screen {
  return async () => {
    const { title, sections } = await guideForm(visit.gateway, 'REISSUE_CARD');
    const form = new ServiceForm<Done>(visit, {
      ...sectionOptions(sections[0]!, visit.persona),
      submit: (input) => visit.gateway.ask<Done | Refusal>(REISSUE_CARD, { input }),
      done: (result) => visit.phone.replace(outcome(visit, '补卡已受理', '新卡正在制作，可在“制卡进度查询”查看。', result)),
    });
    followOutlets(visit.gateway, form);
    return { title, body: [form.element] };
  };
}
