import type { Visit } from '../app';
import { APPLICATION_FORM, REISSUE_CARD, type ApplicationForm, type Done, type Option, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import { isRefusal } from '../gateway';
import type { Screen } from '../phone';
import { codeField, phoneField } from './fields';
import { outcome } from './outcome';
import { followOutlets } from './outlets';

export function reissueCard(visit: Visit): Screen {
  return async () => {
    const form = new ServiceForm<Done>(visit, {
      fields: [
        { name: 'pickupMethod', label: '领卡方式', kind: 'select', options: [{ code: 'OUTLET', name: '服务网点' }], value: 'OUTLET' },
        { name: 'districtCode', label: '发卡区县', kind: 'select', options: await districts(visit) },
        { name: 'outletCode', label: '发卡网点', kind: 'select' },
        phoneField(visit.persona),
        codeField,
      ],
      code: { purpose: 'REISSUE_CARD', phoneField: 'phone' },
      submitLabel: '补卡',
      submit: (input) => visit.gateway.ask<Done | Refusal>(REISSUE_CARD, { input }),
      done: (result) => visit.phone.replace(outcome(visit, '补卡已受理', '新卡正在制作，可在“制卡进度查询”查看。', result)),
    });
    followOutlets(visit.gateway, form);
    return { title: '补卡', body: [form.element] };
  };
}

/** The reference tables come with the application form, to holders of a card as well. */
async function districts({ gateway }: Visit): Promise<Option[]> {
  const form = await gateway.ask<ApplicationForm | Refusal>(APPLICATION_FORM);
  if (isRefusal(form)) throw new Error(form.message);
  return form.fields.find(({ name }) => name === 'districtCode')!.options;
}
