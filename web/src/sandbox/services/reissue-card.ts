import type { Visit } from '../app';
import { DISTRICTS, REISSUE_CARD, type Done, type Option, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { codeField, phoneField } from './fields';
import { outcome } from './outcome';
import { followOutlets } from './outlets';

export function reissueCard(visit: Visit): Screen {
  return async () => {
    const form = new ServiceForm<Done>(visit, {
      fields: [
        { name: 'pickupMethod', label: '领卡方式', kind: 'select', options: [{ code: 'OUTLET', name: '服务网点' }], value: 'OUTLET' },
        { name: 'districtCode', label: '发卡区县', kind: 'select', options: await visit.gateway.ask<Option[]>(DISTRICTS) },
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
