import type { Visit } from '../app';
import {
  APPLICATION_FORM,
  APPLY_CARD,
  CONFIRM_ID_DOCUMENTS,
  CONFIRM_PORTRAIT,
  GIVE_CONSENT,
  SAVE_APPLICATION_DRAFT,
  UPLOAD_ID_DOCUMENT,
  UPLOAD_PORTRAIT,
  type ApplicationDraftSaved,
  type ApplicationField,
  type ApplicationForm,
  type Done,
  type IdDocumentUploaded,
  type IdDocumentSide,
  type PortraitPreview,
  type Refusal,
} from '../documents';
import { button, errorText, h } from '../dom';
import { ServiceForm, type Field } from '../form';
import { isRefusal } from '../gateway';
import type { Screen, View } from '../phone';
import type { Persona } from '../world';
import { codeField } from './fields';
import { outcome } from './outcome';
import { followOutlets } from './outlets';
import { sampleIdDocument, samplePortrait } from './samples';

const SIDES: [IdDocumentSide, string][] = [
  ['PORTRAIT_SIDE', '身份证人像面'],
  ['EMBLEM_SIDE', '身份证国徽面'],
];
const YES_NO = [
  { code: 'true', name: '是' },
  { code: 'false', name: '否' },
];

/** A yes or no that is still open has no place in the input, so it is asked for here. */
const WITHHOLDING_NOT_CHOSEN: Refusal = {
  __typename: 'Refusal',
  code: 'REQUIRED',
  message: '请选择是否使用金融代扣。',
  field: 'financialWithholding',
  retryAfter: null,
  problems: [],
  nextStep: null,
};

const KINDS: Record<ApplicationField['type'], Field['kind']> = {
  TEXT: 'text',
  DIGITS: 'digits',
  DATE: 'text',
  SELECT: 'select',
  BOOLEAN: 'select',
};

/** Portrait, then ID document, then the form; what was kept before is taken up again. */
export function applyCard(visit: Visit): Screen {
  return async () => {
    const form = await visit.gateway.ask<ApplicationForm | Refusal>(APPLICATION_FORM);
    if (isRefusal(form)) return { title: '申办', body: [h('p', { class: 'alert', role: 'alert' }, form.message)] };
    return form.privacyNotice.givenAt ? portraitView(visit, form) : noticeView(visit, form);
  };
}

/** Asked once for each version, before any personal data is sent. */
function noticeView(visit: Visit, form: ApplicationForm): View {
  const { version, url } = form.privacyNotice;
  const message = alertLine();
  const agree = async () => {
    const given = await visit.gateway.ask<Done | Refusal>(GIVE_CONSENT, { input: { noticeVersion: version } });
    if (isRefusal(given)) say(message, given.message);
    else visit.phone.replace(() => portraitView(visit, form));
  };
  return {
    title: '个人信息处理告知',
    body: [
      h('p', { class: 'hint' }, `办理社会保障卡需要处理您的照片、身份证件和所填信息。告知版本：${version}(示例)。`),
      ...(url ? [h('p', {}, h('a', { href: url, target: '_blank', rel: 'noreferrer' }, '阅读全文'))] : []),
      message,
      button('我已阅读并同意', () => void attempt(message, agree)),
    ],
  };
}

function portraitView(visit: Visit, { portrait, missing, note }: ApplicationForm): View {
  const preview = h('div', { class: 'portrait-preview' });
  const message = alertLine();
  const next = () => visit.phone.replace(() => idDocumentsView(visit, !missing.includes('idDocuments')));

  const confirm = async (portraitId: string) => {
    const confirmed = await visit.gateway.ask<Done | Refusal>(CONFIRM_PORTRAIT, { portraitId });
    if (isRefusal(confirmed)) say(message, confirmed.message);
    else next();
  };
  const show = ({ url, accepted, checks, portraitId }: PortraitPreview) => {
    preview.replaceChildren(
      h('p', {}, '自动处理后照片预览'),
      h('img', { src: url, alt: '自动处理后的照片' }),
      h('ul', { class: 'checks' }, ...checks.map((check) => h('li', { class: check.passed ? 'passed' : 'failed' }, check.message))),
    );
    if (accepted) preview.append(button('确认上传', () => void attempt(message, () => confirm(portraitId))));
  };
  const upload = (file: File) =>
    attempt(message, async () => {
      const result = await visit.gateway.upload<PortraitPreview | Refusal>(UPLOAD_PORTRAIT, {}, file);
      if (isRefusal(result)) say(message, result.message);
      else show(result);
    });

  return {
    title: '上传头像照',
    body: [
      ...(note ? [h('p', { class: 'hint' }, note)] : []),
      stages(1),
      h('p', { class: 'hint' }, '请提交一张本人二寸白底彩色照片，上传后请核对自动处理后的照片。'),
      picker('本人照片', upload, samplePortrait),
      message,
      preview,
      ...(portrait?.confirmed ? [button('沿用已确认的照片', next, 'secondary')] : []),
    ],
  };
}

function idDocumentsView(visit: Visit, confirmedBefore: boolean): View {
  const message = alertLine();
  const upload = (side: IdDocumentSide, mark: HTMLElement, preview: HTMLElement) => (file: File) =>
    attempt(message, async () => {
      const result = await visit.gateway.upload<IdDocumentUploaded | Refusal>(UPLOAD_ID_DOCUMENT, { side }, file);
      if (isRefusal(result)) return say(message, result.message);
      mark.textContent = result.accepted ? '1/1 已上传' : '0/1 未通过预审';
      preview.replaceChildren(...documentPreview(result));
    });
  const next = () => visit.phone.replace(() => formView(visit));
  const confirm = async () => {
    const confirmed = await visit.gateway.ask<Done | Refusal>(CONFIRM_ID_DOCUMENTS);
    if (isRefusal(confirmed)) say(message, confirmed.message);
    else next();
  };

  return {
    title: '上传证件照',
    body: [
      stages(2),
      h('p', { class: 'hint' }, '请横向放置证件拍摄，四角完整、文字清楚。'),
      ...SIDES.flatMap(([side, label]) => {
        const mark = h('p', { class: 'help', role: 'status' }, '0/1');
        const preview = h('div', { class: 'portrait-preview' });
        return [picker(label, upload(side, mark, preview), () => sampleIdDocument(visit.persona.id, side)), mark, preview];
      }),
      message,
      button('确认上传', () => void attempt(message, confirm)),
      ...(confirmedBefore ? [button('沿用已确认的证件照', next, 'secondary')] : []),
    ],
  };
}

/** The straightened card and what was read off it, or what is wrong. */
function documentPreview({ url, checks, readFields }: IdDocumentUploaded): Node[] {
  const wrong = checks.filter(({ passed }) => !passed);
  return [
    ...(url ? [h('img', { class: 'card-picture', src: url, alt: '自动校正后的证件照' })] : []),
    h('ul', { class: 'checks' }, ...wrong.map(({ message }) => h('li', { class: 'failed' }, message))),
    ...(readFields.length ? [h('p', { class: 'hint' }, '已识别,将预填到表单,请核对。')] : []),
  ];
}

async function formView(visit: Visit): Promise<View> {
  const answer = await visit.gateway.ask<ApplicationForm | Refusal>(APPLICATION_FORM);
  if (isRefusal(answer)) return { title: '数据采集项', body: [h('p', { class: 'alert', role: 'alert' }, answer.message)] };

  const form = new ServiceForm<Done>(visit, {
    fields: [...phoneLast(answer.fields).map((field) => formField(field, visit.persona)), codeField],
    code: { purpose: 'APPLY_CARD', phoneField: 'phone' },
    outro: [button('暂存，以后再填', () => void saveDraft(), 'secondary')],
    submitLabel: '申请',
    submit: async (values) =>
      values.financialWithholding
        ? visit.gateway.ask<Done | Refusal>(APPLY_CARD, { input: typed(values) })
        : WITHHOLDING_NOT_CHOSEN,
    done: (result) => visit.phone.replace(outcome(visit, '申办已受理', '可在“制卡进度查询”查看制卡进度。', result)),
  });
  followOutlets(visit.gateway, form, answer.fields.find(({ name }) => name === 'outletCode')?.value);
  const problems = answer.fields.flatMap(({ name, problem }) => (problem ? [{ field: name, ...problem }] : []));
  if (problems.length) form.refuse({ message: '已存的资料有需要更正的地方', field: null, problems });

  async function saveDraft(): Promise<void> {
    const { code: _, ...kept } = given(form.values());
    const saved = await visit.gateway.ask<ApplicationDraftSaved | Refusal>(SAVE_APPLICATION_DRAFT, { input: typed(kept) });
    if (isRefusal(saved)) form.refuse(saved);
    else if (saved.problems.length) form.refuse({ message: '已暂存，请更正标出的项', field: null, problems: saved.problems });
    else visit.phone.notify('已暂存。从任何一个渠道回来都可以接着填。');
  }

  return { title: '数据采集项', body: [stages(3), form.element] };
}

/** The phone comes last, next to its code and the button. */
function phoneLast(fields: ApplicationField[]): ApplicationField[] {
  const isPhone = ({ name }: ApplicationField) => name === 'phone';
  return [...fields.filter((field) => !isPhone(field)), ...fields.filter(isPhone)];
}

function formField(field: ApplicationField, persona: Persona): Field {
  const { name, label, help, type, required, options, defaultValue, value, suggestion } = field;
  return {
    name,
    label,
    help: !value && suggestion ? `${help} · 已按证件识别预填,请核对` : help,
    optional: !required,
    value: value ?? suggestion?.value ?? defaultValue,
    options: type === 'BOOLEAN' ? YES_NO : options,
    kind: name === 'phone' ? 'tel' : KINDS[type],
    known: knownValue(name, persona),
  };
}

function knownValue(name: string, { name: fullName, socialSecurityNumber, phone }: Persona): string | null {
  const known: Record<string, string> = {
    name: fullName,
    idNumber: socialSecurityNumber,
    phone,
    birthDate: socialSecurityNumber.slice(6, 14),
    genderCode: Number(socialSecurityNumber[16]) % 2 ? '1' : '2',
    idIssuer: '成都市公安局',
    idValidUntil: 'LONG_TERM',
  };
  return known[name] ?? null;
}

/** The input's own types: every value is a text but the one yes or no. */
function typed(values: Record<string, string>): Record<string, string | boolean> {
  const { financialWithholding, ...texts } = values;
  return financialWithholding ? { ...texts, financialWithholding: financialWithholding === 'true' } : texts;
}

function given(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value));
}

function stages(current: number): HTMLElement {
  const names = ['头像照', '证件照', '填写信息'];
  return h(
    'ol',
    { class: 'stages' },
    ...names.map((name, index) => h('li', { 'aria-current': index + 1 === current ? 'step' : null }, name)),
  );
}

function picker(label: string, upload: (file: File) => Promise<void>, sample: () => Promise<File>): HTMLElement {
  const input = h('input', {
    type: 'file',
    accept: 'image/*',
    onchange: () => input.files?.[0] && void upload(input.files[0]),
  });
  const useSample = h('button', { type: 'button', class: 'fill', onclick: () => void sample().then(upload) }, '使用示例图片');
  return h('div', { class: 'picker' }, h('strong', {}, label), h('label', {}, `选择${label}`, input), useSample);
}

const alertLine = (): HTMLElement => h('p', { class: 'alert', role: 'alert', hidden: true });

function say(line: HTMLElement, message: string): void {
  line.textContent = message;
  line.hidden = false;
}

async function attempt(line: HTMLElement, action: () => Promise<void>): Promise<void> {
  line.hidden = true;
  try {
    await action();
  } catch (error) {
    say(line, errorText(error));
  }
}
