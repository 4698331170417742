import { SERVICE_FORM, type GuideField, type GuideForm, type GuideSection } from '../documents';
import { facts } from '../dom';
import type { Field, FormOptions } from '../form';
import type { Gateway } from '../gateway';
import type { Persona } from '../world';

const KINDS: Record<GuideField['type'], Field['kind']> = {
  TEXT: 'text',
  DIGITS: 'digits',
  PASSWORD: 'password',
  DATE: 'text',
  DATE_TIME: 'text',
  SELECT: 'select',
  MULTI_SELECT: 'text',
  BOOLEAN: 'select',
  PICTURE: 'text',
};

/** The words of a service, as the city's guide has them. */
export const guideForm = (gateway: Gateway, service: string): Promise<GuideForm> =>
  gateway.ask<GuideForm>(SERVICE_FORM, { service });

/** The fields and buttons of a section. */
export function sectionOptions(
  section: GuideSection,
  persona: Persona,
): Pick<FormOptions<{ __typename: string }>, 'fields' | 'submitLabel' | 'code'> {
  const sent = section.fields.map(({ button }) => button).find((button) => button?.purpose);
  return {
    fields: section.fields.map((field) => formField(field, persona)),
    submitLabel: section.submitLabel ?? '',
    code: sent?.purpose
      ? { purpose: sent.purpose, phoneField: sent.arguments[0]!.source, label: sent.label }
      : undefined,
  };
}

export function formField(field: GuideField, persona: Persona): Field {
  const { name, label, help, placeholder, type, required, options, defaultValue, button } = field;
  const isPhone = name === 'phone' || name === 'newPhone';
  return {
    name,
    label,
    help,
    placeholder: placeholder ?? undefined,
    optional: !required,
    value: defaultValue,
    options,
    kind: button?.purpose ? 'code' : isPhone ? 'tel' : KINDS[type],
    known: knownValue(name, persona),
  };
}

/** What is shown, from the values by name. */
export const shownFacts = (section: GuideSection, values: Record<string, string | null | undefined>): HTMLElement =>
  facts(section.fields.map(({ name, label }) => [label, values[name]]));

function knownValue(name: string, persona: Persona): string | null {
  const { name: fullName, socialSecurityNumber, phone, cardNumber, servicePassword } = persona;
  const known: Record<string, string | null> = {
    name: fullName,
    idNumber: socialSecurityNumber,
    phone,
    cardNumber,
    oldPassword: servicePassword,
    birthDate: socialSecurityNumber.slice(6, 14),
    genderCode: Number(socialSecurityNumber[16]) % 2 ? '1' : '2',
    idIssuer: '成都市公安局',
    idValidUntil: 'LONG_TERM',
  };
  return known[name] ?? null;
}
