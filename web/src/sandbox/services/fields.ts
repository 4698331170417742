import type { Field } from '../form';
import type { Persona } from '../world';

/** The fields of 绑卡, which is no service of the guide. */
export const phoneField = ({ phone }: Persona, label = '手机号码'): Field => ({
  name: 'phone',
  label,
  kind: 'tel',
  placeholder: '请输入手机号码',
  known: phone,
});

export const codeField: Field = { name: 'code', label: '验证码', kind: 'code' };
