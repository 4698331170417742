import { OUTLETS, type Option, type Outlet } from '../documents';
import type { ServiceForm } from '../form';
import type { Gateway } from '../gateway';

const FOLLOWED = ['districtCode', 'bankCode'];

/** Keeps the outlet select in step with the district, and with the bank where the form has one. */
export function followOutlets<R extends { __typename: string }>(
  gateway: Gateway,
  form: ServiceForm<R>,
  chosen?: string | null,
): void {
  const refresh = async (selected = '') => {
    const districtCode = form.value('districtCode');
    const bankCode = form.value('bankCode') || null;
    const outlets = districtCode ? await gateway.ask<Outlet[]>(OUTLETS, { districtCode, bankCode }) : [];
    form.setOptions('outletCode', outlets.map(option), selected);
  };
  form.element.addEventListener('change', ({ target }) => {
    if (target instanceof HTMLSelectElement && FOLLOWED.includes(target.name)) void refresh();
  });
  void refresh(chosen ?? '');
}

function option({ code, name, address }: Outlet): Option {
  return { code, name: `${name}(${address})` };
}
