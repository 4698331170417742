import { english, h } from '../dom';
import type { Persona } from '../world';

/** Who holds the phones: one choice, and the table of everything that is known of each. */
export function personaPicker(people: Persona[], choose: (persona: Persona) => void): HTMLElement {
  return h(
    'fieldset',
    { class: 'personas' },
    h('legend', {}, '谁在用手机 ', english('Who holds the phones')),
    ...people.map((persona, index) => {
      const pick = () => choose(persona);
      const radio = h('input', { type: 'radio', name: 'persona', value: persona.id, checked: index === 0, onchange: pick });
      return h('label', { title: persona.description }, radio, h('span', {}, h('strong', {}, persona.name), h('small', {}, persona.description)));
    }),
  );
}

export function personaTable(people: Persona[]): HTMLElement {
  const heads = ['人物', '姓名', '社会保障号码', '手机', '卡号', '服务密码', '说明'];
  const body = people.map(({ id, name, socialSecurityNumber, phone, cardNumber, servicePassword, description }) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, id),
      ...[name, socialSecurityNumber, phone, cardNumber, servicePassword, description].map((value) => h('td', {}, value ?? '—')),
    ),
  );
  return h(
    'section',
    { class: 'panel persona-table' },
    h('h2', {}, '人物表 ', english('Personas')),
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': '人物表' },
      h('table', {}, h('thead', {}, h('tr', {}, ...heads.map((text) => h('th', { scope: 'col' }, text)))), h('tbody', {}, ...body)),
    ),
  );
}
