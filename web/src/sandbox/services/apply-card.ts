import type { Visit } from '../app';
import {
  APPLICATION_FORM,
  APPLY_CARD,
  CONFIRM_ID_DOCUMENTS,
  CONFIRM_PORTRAIT,
  DELETE_PICTURE,
  GIVE_CONSENT,
  SAVE_APPLICATION_DRAFT,
  UPLOAD_ID_DOCUMENT,
  UPLOAD_PORTRAIT,
  type ApplicationDraftSaved,
  type ApplicationForm,
  type Done,
  type DraftField,
  type GuideField,
  type GuideSection,
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
import { formField, guideForm, sectionOptions } from './guide';
import { outcome } from './outcome';
import { followOutlets } from './outlets';
import { sampleIdDocument, samplePortrait } from './samples';

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

/** Portrait, then ID document, then the form; what was kept before is taken up again. */
export function applyCard(visit: Visit): Screen {
  return async () => {
    const [form, { sections }] = await Promise.all([
      visit.gateway.ask<ApplicationForm | Refusal>(APPLICATION_FORM),
      guideForm(visit.gateway, 'APPLY_CARD'),
    ]);
    if (isRefusal(form)) return { title: '申办', body: [h('p', { class: 'alert', role: 'alert' }, form.message)] };
    return form.privacyNotice.givenAt ? portraitView(visit, sections, form) : noticeView(visit, sections, form);
  };
}

/** Asked once for each version, before any personal data is sent. */
function noticeView(visit: Visit, sections: GuideSection[], form: ApplicationForm): View {
  const { version, url } = form.privacyNotice;
  const message = alertLine();
  const agree = async () => {
    const given = await visit.gateway.ask<Done | Refusal>(GIVE_CONSENT, { input: { noticeVersion: version } });
    if (isRefusal(given)) say(message, given.message);
    else visit.phone.replace(() => portraitView(visit, sections, form));
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

function portraitView(visit: Visit, sections: GuideSection[], { portrait, missing, note }: ApplicationForm): View {
  const section = sections[0]!;
  const field = section.fields[0]!;
  const preview = h('div', { class: 'portrait-preview' });
  const message = alertLine();
  const next = () => visit.phone.replace(() => idDocumentsView(visit, sections, !missing.includes('idDocuments')));

  const confirm = async (portraitId: string) => {
    const confirmed = await visit.gateway.ask<Done | Refusal>(CONFIRM_PORTRAIT, { portraitId });
    if (isRefusal(confirmed)) say(message, confirmed.message);
    else next();
  };
  const show = ({ url, accepted, checks, portraitId }: PortraitPreview) => {
    preview.replaceChildren(
      h('p', {}, field.upload!.caption),
      deletable(visit, message, portraitId, h('img', { src: url, alt: '自动处理后的照片' }), () => preview.replaceChildren()),
      h('ul', { class: 'checks' }, ...checks.map((check) => h('li', { class: check.passed ? 'passed' : 'failed' }, check.message))),
    );
    if (accepted) preview.append(button(section.submitLabel!, () => void attempt(message, () => confirm(portraitId))));
  };
  const upload = (file: File) =>
    attempt(message, async () => {
      const result = await visit.gateway.upload<PortraitPreview | Refusal>(UPLOAD_PORTRAIT, {}, file);
      if (isRefusal(result)) say(message, result.message);
      else show(result);
    });

  return {
    title: section.title!,
    body: [
      ...(note ? [h('p', { class: 'hint' }, note)] : []),
      stages(1),
      h('p', { class: 'hint' }, field.help),
      picker(field, upload, samplePortrait),
      message,
      preview,
      ...(portrait?.confirmed ? [button('沿用已确认的照片', next, 'secondary')] : []),
    ],
  };
}

function idDocumentsView(visit: Visit, sections: GuideSection[], confirmedBefore: boolean): View {
  const section = sections[1]!;
  const message = alertLine();
  const uploads = new Map<IdDocumentSide, (file: File) => Promise<void>>();
  const upload = (side: IdDocumentSide, mark: HTMLElement, preview: HTMLElement) => (file: File) =>
    attempt(message, async () => {
      const result = await visit.gateway.upload<IdDocumentUploaded | Refusal>(UPLOAD_ID_DOCUMENT, { side }, file);
      if (isRefusal(result)) return say(message, result.message);
      mark.textContent = result.accepted ? '1/1 已上传' : '0/1 未通过预审';
      const empty = () => {
        mark.textContent = '0/1';
        preview.replaceChildren();
      };
      preview.replaceChildren(...documentPreview(visit, message, result, empty), ...alsoOther(result, file));
    });
  /** 正反面在同一张照片里: one more tap sends the same file for the other side. */
  const alsoOther = ({ accepted, otherSide }: IdDocumentUploaded, file: File): Node[] => {
    if (!accepted || !otherSide) return [];
    const { side } = otherSide;
    const name = side === 'EMBLEM_SIDE' ? '国徽面' : '人像面';
    const offer = button(`这张照片里还有${name}，一并使用`, () => void uploads.get(side)?.(file).then(() => offer.remove()), 'secondary');
    return [offer];
  };
  const next = () => visit.phone.replace(() => formView(visit, sections));
  const confirm = async () => {
    const confirmed = await visit.gateway.ask<Done | Refusal>(CONFIRM_ID_DOCUMENTS);
    if (isRefusal(confirmed)) say(message, confirmed.message);
    else next();
  };

  return {
    title: section.title!,
    body: [
      stages(2),
      h('p', { class: 'hint' }, section.instruction),
      ...section.fields.flatMap((field) => {
        const { side, caption, sampleUrl } = field.upload!;
        const mark = h('p', { class: 'help', role: 'status' }, '0/1');
        const preview = h('div', { class: 'portrait-preview' });
        const sample = h('img', { class: 'card-picture', src: sampleUrl, alt: caption });
        const ownSample = () => sampleIdDocument(visit.persona.id, side!);
        uploads.set(side!, upload(side!, mark, preview));
        return [sample, picker(field, uploads.get(side!)!, ownSample), h('p', { class: 'help' }, field.help), mark, preview];
      }),
      message,
      button(section.submitLabel!, () => void attempt(message, confirm)),
      ...(confirmedBefore ? [button('沿用已确认的证件照', next, 'secondary')] : []),
    ],
  };
}

/** 删除照片请单击照片: the picture is a button that takes it back. */
function deletable(visit: Visit, message: HTMLElement, pictureId: string, picture: HTMLElement, gone: () => void): HTMLElement {
  const remove = () =>
    attempt(message, async () => {
      const deleted = await visit.gateway.ask<Done | Refusal>(DELETE_PICTURE, { pictureId });
      if (isRefusal(deleted)) say(message, deleted.message);
      else gone();
    });
  return h('button', { type: 'button', class: 'picture', title: '删除照片', onclick: () => void remove() }, picture);
}

/** The straightened card and what was read off it, or what is wrong. */
function documentPreview(
  visit: Visit,
  message: HTMLElement,
  { pictureId, url, checks, readFields }: IdDocumentUploaded,
  gone: () => void,
): Node[] {
  const picture = h('img', { class: 'card-picture', src: url, alt: '自动校正后的证件照' });
  const wrong = checks.filter(({ passed }) => !passed);
  return [
    ...(pictureId ? [deletable(visit, message, pictureId, picture, gone)] : []),
    h('ul', { class: 'checks' }, ...wrong.map((check) => h('li', { class: 'failed' }, check.message))),
    ...(readFields.length ? [h('p', { class: 'hint' }, '已识别,将预填到表单,请核对。')] : []),
  ];
}

async function formView(visit: Visit, sections: GuideSection[]): Promise<View> {
  const section = sections[2]!;
  const answer = await visit.gateway.ask<ApplicationForm | Refusal>(APPLICATION_FORM);
  if (isRefusal(answer)) return { title: section.title!, body: [h('p', { class: 'alert', role: 'alert' }, answer.message)] };
  const drafts = new Map(answer.fields.map((field) => [field.name, field]));

  const form = new ServiceForm<Done>(visit, {
    ...sectionOptions(section, visit.persona),
    fields: phoneLast(section.fields).map((field) => filledField(field, drafts.get(field.name), visit.persona)),
    outro: [button('暂存，以后再填', () => void saveDraft(), 'secondary')],
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

  return { title: section.title!, body: [stages(3), form.element] };
}

/** The phone and its code come last, next to the button. */
function phoneLast(fields: GuideField[]): GuideField[] {
  const isLast = ({ name }: GuideField) => name === 'phone' || name === 'code';
  return [...fields.filter((field) => !isLast(field)), ...fields.filter(isLast)];
}

const SOURCES = { PLATFORM: '已按实名信息预填,请核对', DOCUMENT: '已按证件识别预填,请核对', DRAFT: '' };

function filledField(field: GuideField, draft: DraftField | undefined, persona: Persona): Field {
  const told = draft?.source ? SOURCES[draft.source] : '';
  return {
    ...formField(field, persona),
    help: [field.help, told].filter(Boolean).join(' · '),
    value: draft?.value ?? field.defaultValue,
  };
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

function picker({ label, upload: limits }: GuideField, upload: (file: File) => Promise<void>, sample: () => Promise<File>): HTMLElement {
  const input = h('input', {
    type: 'file',
    accept: limits!.formats.map(({ mediaType }) => mediaType).join(','),
    onchange: () => input.files?.[0] && void upload(input.files[0]),
  });
  const useSample = h('button', { type: 'button', class: 'fill', onclick: () => void sample().then(upload) }, '使用示例图片');
  return h('div', { class: 'picker' }, h('strong', {}, label), h('label', {}, '选择图片', input), useSample);
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
