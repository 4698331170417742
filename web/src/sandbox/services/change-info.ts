import type { Visit } from '../app';
import { CHANGE_CONTACT, CHANGE_PHONE, type Done, type GuideSection, type Refusal } from '../documents';
import { h } from '../dom';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { guideForm, sectionOptions } from './guide';
import { outcome } from './outcome';

export function changeInfo(visit: Visit, chosen = 0): Screen {
  return async () => {
    const { title, sections } = await guideForm(visit.gateway, 'CHANGE_INFORMATION');
    const section = sections[chosen]!;
    const form = section.operation === 'changePhone' ? phoneForm(visit, section) : contactForm(visit, section);
    return { title, body: [parts(visit, sections, chosen), form.element] };
  };
}

function parts(visit: Visit, sections: GuideSection[], chosen: number): HTMLElement {
  return h(
    'div',
    { class: 'segments', role: 'group', 'aria-label': '变更内容' },
    ...sections.map(({ title }, part) => {
      const choose = () => visit.phone.replace(changeInfo(visit, part));
      return h('button', { type: 'button', 'aria-pressed': String(part === chosen), onclick: choose }, title);
    }),
  );
}

function phoneForm(visit: Visit, section: GuideSection): ServiceForm<Done> {
  return new ServiceForm<Done>(visit, {
    ...sectionOptions(section, visit.persona),
    submit: (input) => visit.gateway.ask<Done | Refusal>(CHANGE_PHONE, { input }),
    done: () => visit.phone.replace(outcome(visit, '变更成功', '手机号码已变更，原手机会收到通知。')),
  });
}

function contactForm(visit: Visit, section: GuideSection): ServiceForm<Done> {
  return new ServiceForm<Done>(visit, {
    ...sectionOptions(section, visit.persona),
    submit: (values) => visit.gateway.ask<Done | Refusal>(CHANGE_CONTACT, { input: given(values) }),
    done: () => visit.phone.replace(outcome(visit, '变更成功', '填写的信息已更新。')),
  });
}

/** Only what is given changes. */
function given(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value));
}
