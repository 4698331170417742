import type { Field } from '../form';
import type { Persona } from '../world';

/** The fields that several of the guide's forms share. */
export const phoneField = ({ phone }: Persona, label = '手机号码'): Field => ({
  name: 'phone',
  label,
  kind: 'tel',
  placeholder: '请输入手机号码',
  known: phone,
});

export const cardNumberField = ({ cardNumber }: Persona): Field => ({
  name: 'cardNumber',
  label: '卡号',
  help: '印在社会保障卡头像面',
  known: cardNumber,
});

export const codeField: Field = { name: 'code', label: '验证码', kind: 'code' };
