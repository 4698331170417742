import { button, english, errorText, h } from '../dom';
import { advanceIssuer, type IssuerReport, type Persona } from '../world';

export interface IssuerDesk {
  element: HTMLElement;
  choose: (persona: Persona) => void;
}

const REPORTS: [label: string, report: IssuerReport][] = [
  ['推进一个业务节点', { result: 'DONE' }],
  ['节点办理失败', { result: 'FAILED' }],
  ['12333 临时挂失', { event: 'TEMPORARY_LOSS' }],
  ['应用锁定', { event: 'LOCK' }],
  ['解除锁定', { event: 'UNLOCK' }],
  ['注销', { event: 'CANCEL' }],
];

/** The card issuer's desk: reports production nodes, and what happens to cards elsewhere. */
export function issuerDesk(people: Persona[]): IssuerDesk {
  const select = h('select', { id: 'issuer-persona' }, ...people.map(({ id, name }) => h('option', { value: id }, `${name} · ${id}`)));
  const status = h('p', { role: 'status', class: 'help' });

  async function send(label: string, report: IssuerReport): Promise<void> {
    const persona = select.selectedOptions[0]!.text;
    try {
      await advanceIssuer(select.value, report);
      status.textContent = `已上报 ${persona}:${label}`;
      document.dispatchEvent(new Event('sms'));
    } catch (error) {
      status.textContent = errorText(error);
    }
  }

  const element = h(
    'section',
    { class: 'panel issuer' },
    h('h2', {}, '发卡方工作台 ', english('Card issuer’s desk')),
    h('label', { for: 'issuer-persona' }, '谁的卡'),
    select,
    h(
      'div',
      { class: 'reports' },
      ...REPORTS.map(([label, report], index) => button(label, () => void send(label, report), index ? 'secondary' : 'primary')),
    ),
    status,
  );
  return { element, choose: ({ id }) => (select.value = id) };
}
