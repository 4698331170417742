import type { App } from './app';
import { SEND_VERIFICATION_CODE, type Option, type Refusal, type VerificationCodeSent } from './documents';
import { errorText, h } from './dom';
import { isRefusal } from './gateway';
import { inbox, type Message } from './world';

export interface Field {
  name: string;
  label: string;
  kind?: 'text' | 'tel' | 'digits' | 'password' | 'select' | 'code';
  placeholder?: string;
  help?: string | null;
  value?: string | null;
  options?: Option[];
  optional?: boolean;
  /** What one click on 「填入人物资料」 writes here. */
  known?: string | null;
  /** A button beside the control. */
  action?: { label: string; run: () => void };
  /** Stands in for a control of the form's own. */
  group?: HTMLElement;
}

export interface FormOptions<R extends { __typename: string }> {
  fields: Field[];
  submitLabel: string;
  submit: (values: Record<string, string>) => Promise<R | Refusal>;
  done: (result: R) => void;
  /** Above the fields and between them and the button. */
  intro?: Node[];
  outro?: Node[];
  code?: { purpose: string; phoneField: string; label?: string };
}

type Control = HTMLInputElement | HTMLSelectElement;

let sequence = 0;

/** A service's form: labelled fields, each with its own refusal beside it. */
export class ServiceForm<R extends { __typename: string } = { __typename: string }> {
  readonly element: HTMLFormElement;
  private readonly controls = new Map<string, Control>();
  private readonly notes = new Map<string, HTMLElement>();
  private readonly alert = h('p', { class: 'alert', role: 'alert', hidden: true });
  private readonly submitButton: HTMLButtonElement;
  private readonly prefix = `form-${++sequence}`;

  constructor(
    private readonly app: App,
    private readonly options: FormOptions<R>,
  ) {
    this.submitButton = h('button', { type: 'submit', class: 'primary' }, options.submitLabel);
    this.element = h(
      'form',
      { class: 'service-form', novalidate: true, 'data-code-phone': options.code?.phoneField },
      ...(options.intro ?? []),
      this.fillButton(),
      ...options.fields.map((field) => this.row(field)),
      ...(options.outro ?? []),
      this.alert,
      this.submitButton,
    );
    this.element.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.submit();
    });
  }

  control(name: string): Control {
    return this.controls.get(name)!;
  }

  value(name: string): string {
    return this.controls.get(name)?.value.trim() ?? '';
  }

  values(): Record<string, string> {
    return Object.fromEntries([...this.controls.keys()].map((name) => [name, this.value(name)]));
  }

  setOptions(name: string, options: Option[], chosen = ''): void {
    const choices = [{ code: '', name: '-请选择-' }, ...options];
    this.control(name).replaceChildren(...choices.map(({ code, name: text }) => h('option', { value: code }, text)));
    this.control(name).value = chosen;
  }

  /** Puts each refusal beside the field it names; what names none stands above the button. */
  refuse({ message, field, problems }: Pick<Refusal, 'message' | 'field' | 'problems'>): void {
    this.clear();
    const named = problems.length ? problems : field ? [{ field, message }] : [];
    const placed = named.filter((problem) => this.note(problem.field, problem.message));
    const beside = new Set(placed.map((problem) => problem.message));
    const rest = [message, ...named.map((problem) => problem.message)].filter((text) => !beside.has(text));
    if (rest.length) this.say([...new Set(rest)].join('\n'));
    this.element.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }

  private note(field: string, message: string): boolean {
    const name = field === 'phone' && !this.notes.has(field) ? this.options.code?.phoneField : field;
    const note = name && this.notes.get(name);
    if (!note) return false;
    note.textContent = message;
    note.hidden = false;
    this.controls.get(name)?.setAttribute('aria-invalid', 'true');
    return true;
  }

  private async submit(): Promise<void> {
    this.submitButton.disabled = true;
    try {
      const result = await this.options.submit(this.values());
      if (isRefusal(result)) this.refuse(result);
      else this.options.done(result);
    } catch (error) {
      this.clear();
      this.say(errorText(error));
    } finally {
      this.submitButton.disabled = false;
    }
  }

  private clear(): void {
    this.alert.hidden = true;
    for (const note of this.notes.values()) note.hidden = true;
    for (const control of this.controls.values()) control.removeAttribute('aria-invalid');
  }

  private say(message: string): void {
    this.alert.textContent = message;
    this.alert.hidden = false;
  }

  private fillButton(): HTMLElement | false {
    const known = this.options.fields.filter((field) => field.known);
    const fill = () => known.forEach((field) => (this.control(field.name).value = field.known!));
    return known.length > 0 && h('button', { type: 'button', class: 'fill', onclick: fill }, '填入人物资料');
  }

  private row(field: Field): HTMLElement {
    const id = `${this.prefix}-${field.name}`;
    const note = h('p', { class: 'note', id: `${id}-note`, role: 'alert', hidden: true });
    this.notes.set(field.name, note);
    if (field.group) return h('fieldset', { class: 'row' }, h('legend', {}, field.label), field.group, note);

    const help = field.help ? h('p', { class: 'help', id: `${id}-help` }, field.help) : false;
    const control = this.controlFor(field, id);
    control.setAttribute('aria-describedby', help ? `${id}-help ${id}-note` : `${id}-note`);
    this.controls.set(field.name, control);
    const beside = field.kind === 'code' ? this.codeButton() : field.action && actionButton(field.action);
    return h(
      'div',
      { class: 'row' },
      h('label', { for: id }, field.label, field.optional && h('small', {}, '(选填)')),
      beside ? h('div', { class: 'with-button' }, control, beside) : control,
      help,
      note,
    );
  }

  private controlFor(field: Field, id: string): Control {
    if (field.kind === 'select') {
      const choices = [{ code: '', name: '-请选择-' }, ...(field.options ?? [])];
      const select = h('select', { id, name: field.name }, ...choices.map(({ code, name }) => h('option', { value: code }, name)));
      select.value = field.value ?? '';
      return select;
    }
    const digits = field.kind === 'tel' || field.kind === 'digits' || field.kind === 'code' || field.kind === 'password';
    return h('input', {
      id,
      name: field.name,
      type: field.kind === 'tel' ? 'tel' : field.kind === 'password' ? 'password' : 'text',
      inputmode: digits ? 'numeric' : null,
      autocomplete: field.kind === 'code' ? 'one-time-code' : 'off',
      placeholder: field.placeholder ?? `请输入${field.label}`,
      value: field.value,
    });
  }

  private codeButton(): HTMLButtonElement {
    const send = actionButton({ label: this.codeLabel, run: () => void this.sendCode(send) });
    return send;
  }

  private get codeLabel(): string {
    return this.options.code?.label ?? '获取验证码';
  }

  private async sendCode(send: HTMLButtonElement): Promise<void> {
    const { purpose, phoneField } = this.options.code!;
    const phone = this.value(phoneField);
    send.disabled = true;
    try {
      const before = await codeMessage(phone, purpose);
      const sent = await this.app.gateway.ask<VerificationCodeSent | Refusal>(SEND_VERIFICATION_CODE, {
        input: { purpose, phone },
      });
      if (isRefusal(sent)) {
        this.refuse(sent);
        countDown(send, this.codeLabel, sent.retryAfter ?? 0);
      } else {
        this.clear();
        countDown(send, this.codeLabel, sent.resendAfter);
        await this.announceCode(phone, purpose, before?.code);
      }
    } catch (error) {
      this.say(errorText(error));
      countDown(send, this.codeLabel, 0);
    }
  }

  /** Shows the code's SMS on the phone once it has arrived. */
  private async announceCode(phone: string, purpose: string, before?: string | null): Promise<void> {
    for (let tries = 0; tries < 20; tries += 1) {
      const message = await codeMessage(phone, purpose);
      if (message && message.code !== before) {
        const fill = { label: '填入', run: () => fillCode(phone, message.code!) };
        if (this.element.isConnected) this.app.phone.notify(message.text, fill);
        document.dispatchEvent(new Event('sms'));
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function codeMessage(phone: string, purpose: string): Promise<Message | undefined> {
  const messages = phone ? await inbox(phone) : [];
  return messages.find((message) => message.code && message.purpose === purpose);
}

/** Writes a code into every open form that asks for one for this phone. */
export function fillCode(phone: string, code: string): void {
  for (const form of document.querySelectorAll<HTMLFormElement>('form[data-code-phone]')) {
    const phoneInput = form.elements.namedItem(form.dataset.codePhone!) as HTMLInputElement;
    const codeInput = form.elements.namedItem('code') as HTMLInputElement;
    if (phoneInput.value.trim() === phone) codeInput.value = code;
  }
}

function actionButton({ label, run }: NonNullable<Field['action']>): HTMLButtonElement {
  return h('button', { type: 'button', class: 'code-button', onclick: run }, label);
}

function countDown(send: HTMLButtonElement, label: string, seconds: number): void {
  send.disabled = seconds > 0;
  send.textContent = seconds > 0 ? `${seconds} 秒` : label;
  if (seconds > 0) setTimeout(() => countDown(send, label, seconds - 1), 1000);
}
