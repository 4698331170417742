import { button, dateTime, english, errorText, h } from '../dom';
import { clock, moveClock, type Clock } from '../world';

const INTERVAL = 3000;
const STEPS: [label: string, duration: string][] = [
  ['快进 5 分钟', 'PT5M'],
  ['快进 1 小时', 'PT1H'],
  ['快进 1 天', 'P1D'],
  ['快进 7 天', 'P7D'],
];

/** The time of gateway, platforms and partners, which can be moved on; the reset brings it back. */
export function clockPanel(): HTMLElement {
  const now = h('time', {});
  const status = h('p', { role: 'status', class: 'help' });

  const show = ({ now: iso }: Clock) => {
    now.setAttribute('datetime', iso);
    now.textContent = dateTime(iso);
  };
  const refresh = () => clock().then(show, () => undefined);

  async function move(label: string, duration: string): Promise<void> {
    try {
      show(await moveClock(duration));
      status.textContent = `已${label}`;
      document.dispatchEvent(new Event('sms'));
    } catch (error) {
      status.textContent = errorText(error);
    }
  }

  setInterval(() => document.hidden || void refresh(), INTERVAL);
  document.addEventListener('sms', () => void refresh());
  void refresh();
  return h(
    'section',
    { class: 'panel clock' },
    h('h2', {}, '时间 ', english('Time')),
    h('p', { class: 'now' }, now),
    h(
      'div',
      { class: 'reports' },
      ...STEPS.map(([label, duration]) => button(label, () => void move(label, duration), 'secondary')),
    ),
    status,
  );
}
