import type { Channel } from './documents';
import { errorText, h } from './dom';

export interface View {
  title: string;
  body: Node[];
  footer?: Node;
  /** The entry step of the guide that this screen stands for. */
  step?: number;
  /** Stops background work of the screen. */
  leave?: () => void;
}

export type Screen = () => View | Promise<View>;

/** A phone with a stack of screens; above it the entry steps of the guide. */
export class Phone {
  readonly element: HTMLElement;
  private readonly stack: Screen[] = [];
  private readonly steps: HTMLElement;
  private readonly back: HTMLButtonElement;
  private readonly title = h('h3', { tabindex: '-1' });
  private readonly content = h('div', { class: 'screen', tabindex: '0' });
  private readonly footer = h('div', { class: 'phone-footer' });
  private readonly banners = h('div', { class: 'banners', 'aria-live': 'polite' });
  private view?: View;
  private rendering = 0;

  constructor(
    channel: Channel,
    private readonly first: Screen,
  ) {
    this.back = h(
      'button',
      { type: 'button', class: 'back', 'aria-label': '返回 Back', onclick: () => this.goBack() },
      '‹',
    );
    this.steps = h(
      'ol',
      { class: 'steps' },
      ...channel.entrySteps.map(({ title, instruction }) =>
        h('li', {}, h('strong', {}, title), h('span', {}, instruction)),
      ),
    );
    this.content.setAttribute('role', 'region');
    this.content.setAttribute('aria-label', `${channel.appName} 屏幕`);
    this.element = h(
      'article',
      { class: `app app-${channel.id.toLowerCase().replace('_', '-')}`, 'data-channel': channel.id },
      h('h2', {}, channel.appName, h('small', {}, channel.name)),
      this.steps,
      h(
        'div',
        { class: 'phone' },
        h('div', { class: 'status-bar', 'aria-hidden': 'true' }, h('span', {}, '9:41'), h('i', {}), h('span', {}, '5G ▮')),
        h('div', { class: 'title-bar' }, this.back, this.title),
        this.banners,
        this.content,
        this.footer,
      ),
    );
  }

  /** Back to the app's first screen. */
  restart(): void {
    this.home(this.first);
  }

  /** Clears the stack and shows a screen. */
  home(screen: Screen): void {
    this.stack.length = 0;
    this.open(screen);
  }

  open(screen: Screen): void {
    this.stack.push(screen);
    void this.render();
  }

  /** Replaces the current screen. */
  replace(screen: Screen): void {
    this.stack.pop();
    this.open(screen);
  }

  goBack(): void {
    if (this.stack.length < 2) return;
    this.stack.pop();
    void this.render();
  }

  /** A message that drops in from the top, such as an SMS. */
  notify(text: string, action?: { label: string; run: () => void }): void {
    const banner = h('div', { class: 'banner' }, h('p', {}, text));
    if (action) {
      const run = () => {
        action.run();
        banner.remove();
      };
      banner.append(h('button', { type: 'button', onclick: run }, action.label));
    }
    this.banners.replaceChildren(banner);
    setTimeout(() => banner.remove(), 20_000);
  }

  private async render(): Promise<void> {
    const screen = this.stack.at(-1)!;
    const turn = ++this.rendering;
    this.view?.leave?.();
    this.view = undefined;
    this.content.setAttribute('aria-busy', 'true');
    const view = await this.build(screen);
    if (turn !== this.rendering) return view.leave?.();
    this.show(view);
  }

  private async build(screen: Screen): Promise<View> {
    try {
      return await screen();
    } catch (error) {
      const again = h('button', { type: 'button', class: 'primary', onclick: () => this.restart() }, '重新进入');
      return { title: '暂时无法办理', body: [h('p', { class: 'alert', role: 'alert' }, errorText(error)), again] };
    }
  }

  private show(view: View): void {
    this.view = view;
    this.title.textContent = view.title;
    this.back.hidden = this.stack.length < 2;
    this.banners.replaceChildren();
    this.content.replaceChildren(...view.body);
    this.content.scrollTop = 0;
    this.content.removeAttribute('aria-busy');
    this.footer.replaceChildren(...(view.footer ? [view.footer] : []));
    if (view.step) this.markStep(view.step);
  }

  private markStep(order: number): void {
    [...this.steps.children].forEach((item, index) => {
      item.classList.toggle('done', index + 1 < order);
      if (index + 1 === order) item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    });
  }
}
