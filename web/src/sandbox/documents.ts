/** Every GraphQL document of the sandbox page, and the types of the results. */
import { CARD_FIELDS, PROGRESS_FIELDS, REFUSAL, VIEWER_FIELDS } from '../selections';

/** One of the ids that the query `channels` returns. */
export type ChannelId = string;
export type IdDocumentSide = 'PORTRAIT_SIDE' | 'EMBLEM_SIDE';

export interface Refusal {
  __typename: 'Refusal';
  code: string;
  message: string;
  field: string | null;
  retryAfter: number | null;
  problems: { field: string; code: string; message: string }[];
  nextStep: { service: string | null; message: string; phone: string | null } | null;
}

export interface Option {
  code: string;
  name: string;
}

export interface Channel {
  id: ChannelId;
  bindingRequired: boolean;
  name: string;
  appName: string;
  entrySteps: { order: number; title: string; instruction: string }[];
}

export interface Service {
  service: string;
  title: string;
  available: boolean;
  reason: { code: string; message: string } | null;
}

export interface Viewer {
  bound: boolean;
  name: string | null;
  socialSecurityNumber: string | null;
  phone: string | null;
  card: { name: string; cardNumber: string } | null;
  services: Service[];
}

export interface SignedIn {
  __typename: 'SignedIn';
  token: string;
  viewer: Viewer;
}

/** The session continues under this token; the one before no longer works. */
export interface CardBound {
  __typename: 'CardBound';
  token: string;
}

export interface CardStatus {
  __typename: 'CardStatus';
  name: string;
  socialSecurityNumber: string;
  cardNumber: string;
  issueDate: string;
  bank: string;
  homeRegion: string;
  stateName: string;
}

export interface ProductionProgress {
  __typename: 'ProductionProgress';
  socialSecurityNumber: string;
  name: string;
  batchNumber: string | null;
  cardNumber: string | null;
  bank: string;
  nodes: {
    node: string;
    title: string;
    result: 'PENDING' | 'IN_PROGRESS' | 'DONE' | 'FAILED';
    resultTitle: string;
    at: string | null;
    message: string | null;
  }[];
  estimate: { message: string } | null;
  cursor: string;
}

export interface GuideField {
  name: string;
  label: string;
  placeholder: string | null;
  help: string | null;
  type: 'TEXT' | 'DIGITS' | 'PASSWORD' | 'DATE' | 'DATE_TIME' | 'SELECT' | 'MULTI_SELECT' | 'BOOLEAN' | 'PICTURE';
  required: boolean;
  options: Option[];
  defaultValue: string | null;
  button: { label: string; purpose: string | null; arguments: { name: string; source: string }[] } | null;
  upload: { side: IdDocumentSide | null; caption: string; sampleUrl: string | null; formats: { mediaType: string }[] } | null;
}

export interface GuideSection {
  title: string | null;
  instruction: string | null;
  submitLabel: string | null;
  operation: string;
  fields: GuideField[];
}

export interface GuideForm {
  title: string;
  tips: string[];
  sections: GuideSection[];
}

export interface DraftField {
  name: string;
  value: string | null;
  source: 'PLATFORM' | 'DOCUMENT' | 'DRAFT' | null;
  suggestion: { value: string; text: string; confidence: number } | null;
  problem: { code: string; message: string } | null;
}

export interface ApplicationForm {
  __typename: 'ApplicationForm';
  note: string | null;
  fields: DraftField[];
  missing: string[];
  portrait: { portraitId: string; confirmed: boolean } | null;
  privacyNotice: { version: string; url: string | null; givenAt: string | null };
}

export interface PortraitPreview {
  __typename: 'PortraitPreview';
  portraitId: string;
  url: string;
  accepted: boolean;
  checks: { code: string; passed: boolean; message: string }[];
}

export interface IdDocumentUploaded {
  __typename: 'IdDocumentUploaded';
  side: IdDocumentSide;
  accepted: boolean;
  pictureId: string | null;
  url: string | null;
  checks: { code: string; passed: boolean; message: string }[];
  readFields: { label: string; text: string; confidence: number }[];
  otherSide: { side: IdDocumentSide } | null;
}

export interface Insurances {
  __typename: 'Insurances';
  items: { type: string; name: string; enrolled: boolean }[];
}

export interface Outlet {
  code: string;
  name: string;
  address: string;
}

export interface VerificationCodeSent {
  __typename: 'VerificationCodeSent';
  maskedPhone: string;
  resendAfter: number;
}

export interface ApplicationDraftSaved {
  __typename: 'ApplicationDraftSaved';
  problems: Refusal['problems'];
}

/** The success of a service: what the next screen tells, by its type. */
export interface Done {
  __typename: string;
  applicationNumber?: string;
  receipt?: { pdfUrl: string };
  card?: CardStatus;
}

const VIEWER = /* GraphQL */ `
  fragment ViewerParts on Viewer {
${VIEWER_FIELDS}
  }
`;

const CARD = /* GraphQL */ `
  fragment CardParts on CardStatus {
${CARD_FIELDS}
    stateName
  }
`;

const PROGRESS = /* GraphQL */ `
  fragment ProgressParts on ProductionProgress {
${PROGRESS_FIELDS}
    estimate {
      message
    }
    cursor
  }
`;

/** A field that answers with one success type or a refusal. */
function result(operation: string, field: string, success: string, fragments = ''): string {
  return `${operation} { ${field} { __typename ${success} ${REFUSAL} } } ${fragments}`;
}

function inputMutation(name: string, success: string, fragments = ''): string {
  const type = name[0]!.toUpperCase() + name.slice(1);
  return result(`mutation ${type}($input: ${type}Input!)`, `${name}(input: $input)`, success, fragments);
}

export const CHANNELS = `query Channels { channels { id name appName bindingRequired entrySteps { order title instruction } } }`;
export const VIEWER_QUERY = `query Viewer { viewer { ...ViewerParts } } ${VIEWER}`;
export const OUTLETS = `query Outlets($districtCode: String!, $bankCode: String) {
  outlets(districtCode: $districtCode, bankCode: $bankCode) { code name address }
}`;
export const SERVICE_FORM = `query ServiceForm($service: CardService!) {
  serviceForm(service: $service) {
    title
    tips
    sections {
      title
      instruction
      submitLabel
      operation
      fields {
        name label placeholder help type required options { code name } defaultValue
        button { label purpose arguments { name source } }
        upload { side caption sampleUrl formats { mediaType } }
      }
    }
  }
}`;
export const PROGRESS_LIVE = `subscription ProductionProgressLive($after: String) {
  productionProgress(after: $after) { ...ProgressParts }
} ${PROGRESS}`;

export const CARD_STATUS = result('query CardStatus', 'cardStatus', '... on CardStatus { ...CardParts }', CARD);
export const PRODUCTION_PROGRESS = result(
  'query ProductionProgress',
  'productionProgress',
  '... on ProductionProgress { ...ProgressParts }',
  PROGRESS,
);
export const APPLICATION_FORM = result(
  'query ApplicationForm',
  'applicationForm',
  `... on ApplicationForm {
    fields { name value source suggestion { value text confidence } problem { code message } }
    missing
    note
    portrait { portraitId confirmed }
    privacyNotice { version url givenAt }
  }`,
);
export const INSURANCES = result(
  'query Insurances($cardNumber: String!)',
  'insurances(cardNumber: $cardNumber)',
  '... on Insurances { items { type name enrolled } }',
);

export const SIGN_IN = inputMutation('signIn', '... on SignedIn { token viewer { ...ViewerParts } }', VIEWER);
export const BIND_CARD = inputMutation('bindCard', '... on CardBound { token }');
export const SEND_VERIFICATION_CODE = inputMutation(
  'sendVerificationCode',
  '... on VerificationCodeSent { maskedPhone resendAfter }',
);
export const GIVE_CONSENT = inputMutation('giveConsent', '... on ConsentGiven { at }');
export const UPLOAD_PORTRAIT = result(
  'mutation UploadPortrait($file: Upload!)',
  'uploadPortrait(file: $file)',
  '... on PortraitPreview { portraitId url accepted checks { code passed message } }',
);
export const CONFIRM_PORTRAIT = result(
  'mutation ConfirmPortrait($portraitId: ID!)',
  'confirmPortrait(portraitId: $portraitId)',
  '... on PortraitConfirmed { portraitId }',
);
export const UPLOAD_ID_DOCUMENT = result(
  'mutation UploadIdDocument($side: IdDocumentSide!, $file: Upload!)',
  'uploadIdDocument(side: $side, file: $file)',
  '... on IdDocumentUploaded { side accepted pictureId url checks { code passed message } readFields { label text confidence } otherSide { side } }',
);
export const CONFIRM_ID_DOCUMENTS = result(
  'mutation ConfirmIdDocuments',
  'confirmIdDocuments',
  '... on IdDocumentsConfirmed { at }',
);
export const DELETE_PICTURE = result(
  'mutation DeletePicture($pictureId: ID!)',
  'deletePicture(pictureId: $pictureId)',
  '... on PictureDeleted { pictureId }',
);
export const SAVE_APPLICATION_DRAFT = result(
  'mutation SaveApplicationDraft($input: ApplicationDraftInput!)',
  'saveApplicationDraft(input: $input)',
  '... on ApplicationDraftSaved { missing problems { field code message } }',
);
export const APPLY_CARD = inputMutation('applyCard', '... on CardApplied { applicationNumber receipt { pdfUrl } }');
export const ACTIVATE_CARD = inputMutation('activateCard', '... on CardActivated { card { ...CardParts } }', CARD);
export const REPORT_LOSS = inputMutation('reportLoss', '... on LossReported { card { ...CardParts } }', CARD);
export const CANCEL_LOSS = inputMutation('cancelLoss', '... on LossCancelled { card { ...CardParts } }', CARD);
export const CHANGE_PASSWORD = inputMutation('changePassword', '... on PasswordChanged { at }');
export const CHANGE_PHONE = inputMutation('changePhone', '... on PhoneChanged { at }');
export const CHANGE_CONTACT = inputMutation('changeContact', '... on ContactChanged { at }');
export const TRANSFER_IN = inputMutation('transferIn', '... on TransferredIn { card { ...CardParts } }', CARD);
export const REISSUE_CARD = inputMutation('reissueCard', '... on CardReissued { applicationNumber receipt { pdfUrl } }');
