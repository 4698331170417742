import type { Visit } from '../app';
import { CHANGE_PASSWORD, type Done, type Refusal } from '../documents';
import { ServiceForm } from '../form';
import type { Screen } from '../phone';
import { outcome } from './outcome';

export function changePassword(visit: Visit): Screen {
  return () => {
    const form = new ServiceForm<Done>(visit, {
      fields: [
        { name: 'oldPassword', label: '原密码', kind: 'password', known: visit.persona.servicePassword },
        { name: 'newPassword', label: '新密码', kind: 'password', placeholder: '请输入新密码（八位纯数字）' },
        { name: 'confirmPassword', label: '确认密码', kind: 'password', placeholder: '请再次输入新密码' },
      ],
      submitLabel: '提交',
      submit: (input) => visit.gateway.ask<Done | Refusal>(CHANGE_PASSWORD, { input }),
      done: () => visit.phone.replace(outcome(visit, '修改成功', '服务密码已修改，请牢记新密码。')),
    });
    return { title: '服务密码修改', body: [form.element] };
  };
}
