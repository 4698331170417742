import { button, h } from '../dom';
import type { Screen } from '../phone';

/** The store page of an app: install it, then open it. */
export function storePage(appName: string, glyph: string, open: () => void): Screen {
  return () => {
    const action = h('div', {});
    const install = () => action.replaceChildren(button('打开', open));
    action.append(button('下载并安装', install));
    const page = h('div', { class: 'store' }, h('i', { 'aria-hidden': 'true' }, glyph), h('strong', {}, appName), action);
    return { title: '应用商店', step: 1, body: [page] };
  };
}

export interface Tile {
  glyph: string;
  label: string;
  open?: () => void;
}

/** A grid of an app's entries; those without `open` are decoration. */
export function tiles(entries: Tile[]): HTMLElement {
  return h(
    'div',
    { class: 'tiles' },
    ...entries.map(({ glyph, label, open }) => {
      const parts = [h('i', { 'aria-hidden': 'true' }, glyph), label] as const;
      return open ? h('button', { type: 'button', onclick: open }, ...parts) : h('span', {}, ...parts);
    }),
  );
}
