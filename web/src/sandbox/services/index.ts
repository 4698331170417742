import type { App, Visit } from '../app';
import type { Service } from '../documents';
import { english, h } from '../dom';
import type { Screen, View } from '../phone';
import { activateCard } from './activate-card';
import { applyCard } from './apply-card';
import { cancelLoss } from './cancel-loss';
import { cardStatus } from './card-status';
import { changeInfo } from './change-info';
import { changePassword } from './change-password';
import { productionProgress } from './production-progress';
import { reissueCard } from './reissue-card';
import { reportLoss } from './report-loss';
import { transferIn } from './transfer-in';

const SERVICES: Record<string, { english: string; screen: (visit: Visit) => Screen }> = {
  APPLY_CARD: { english: 'Apply', screen: applyCard },
  ACTIVATE_CARD: { english: 'Activate', screen: activateCard },
  REPORT_LOSS: { english: 'Report loss', screen: reportLoss },
  CANCEL_LOSS: { english: 'Cancel loss', screen: cancelLoss },
  CHANGE_PASSWORD: { english: 'Change password', screen: changePassword },
  CHANGE_INFORMATION: { english: 'Change information', screen: changeInfo },
  TRANSFER_IN: { english: 'Transfer in', screen: transferIn },
  REISSUE_CARD: { english: 'Reissue', screen: reissueCard },
  PRODUCTION_PROGRESS: { english: 'Production progress', screen: productionProgress },
  CARD_STATUS: { english: 'Card status', screen: cardStatus },
};

/** The ten services, as open as they are for this person right now. */
export function serviceList(app: App, step: number): Screen {
  return async (): Promise<View> => {
    const viewer = await app.gateway.viewer();
    const visit: Visit = { ...app, viewer };
    openAsked(visit);
    return {
      title: '社保卡线上服务',
      step,
      body: [
        h(
          'div',
          { class: 'identity' },
          h('strong', {}, viewer.name ?? ''),
          h('span', {}, viewer.socialSecurityNumber ?? ''),
          h('span', {}, viewer.phone ?? ''),
          h('span', {}, viewer.card ? `卡号 ${viewer.card.cardNumber}` : '没有社会保障卡'),
        ),
        h('ul', { class: 'services' }, ...viewer.services.map((service) => entry(visit, service))),
      ],
    };
  };
}

/** The address may name a service, as the QR code of a receipt does: it opens once, after signing in. */
function openAsked(visit: Visit): void {
  const asked = location.hash.slice(1);
  const service = SERVICES[asked];
  if (!service || !visit.viewer.services.some(({ service, available }) => service === asked && available)) return;
  history.replaceState(null, '', location.pathname);
  setTimeout(() => visit.phone.open(service.screen(visit)));
}

function entry(visit: Visit, { service, title, available, reason }: Service): HTMLElement {
  const known = SERVICES[service];
  const open = () => known && visit.phone.open(known.screen(visit));
  const label = h('span', { class: 'service-title' }, title, english(known?.english ?? ''));
  return h(
    'li',
    {},
    h(
      'button',
      { type: 'button', 'data-service': service, disabled: !available || !known, onclick: open },
      h('i', { 'aria-hidden': 'true' }, title[0]),
      label,
      !available && h('span', { class: 'reason' }, reason?.message ?? ''),
    ),
  );
}
