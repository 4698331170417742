type Child = Node | string | null | undefined | false;
type Value = string | number | boolean | null | undefined | ((event: Event) => void);

/** Builds an element: functions become listeners, everything else attributes. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name.replace(/^on/, ''), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Node | string => Boolean(child)));
  return element;
}

export const english = (text: string): HTMLElement => h('span', { lang: 'en', class: 'en' }, text);

/** A list of terms; those without a value are shown as a dash. */
export function facts(entries: [term: string, value: string | null | undefined][]): HTMLElement {
  return h('dl', { class: 'facts' }, ...entries.flatMap(([term, value]) => [h('dt', {}, term), h('dd', {}, value || '—')]));
}

export function button(label: string, onclick: () => void, kind = 'primary'): HTMLButtonElement {
  return h('button', { type: 'button', class: kind, onclick }, label);
}

export function dateTime(iso: string | null): string {
  return iso ? new Date(iso).toLocaleString('zh-CN', { hour12: false }) : '';
}

export const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));
