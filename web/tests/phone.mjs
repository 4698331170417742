/** The steps that the tests of the sandbox page share: one phone, and what is pressed on it. */
import assert from 'node:assert/strict';

/** The phone of a channel, in the hands of a persona, on a sandbox that begins anew. */
export async function open(page, channel, persona, address = '/sandbox/') {
  await page.request.post('/sandbox/reset', { data: {} });
  await page.goto(address);
  await page.locator(`input[name=persona][value=${persona}]`).check({ force: true });
  return page.locator(`[data-channel=${channel}]`);
}

export const press = (scope, name) => scope.getByRole('button', { name, exact: true }).click();

export async function choose(wechat, entry) {
  await wechat.getByRole('button', { name: '微服务' }).click();
  await press(wechat, entry);
}

export async function install(phone) {
  await press(phone, '下载并安装');
  await press(phone, '打开');
}

/** The step of the guide that is marked above the phone. */
export async function assertCurrentStep(phone, order) {
  const current = phone.locator('.steps li[aria-current=step]');
  assert.equal(await current.evaluate((item) => [...item.parentElement.children].indexOf(item) + 1), order);
}

export async function assertTenServices(phone) {
  await phone.locator('.services li').nth(9).waitFor();
  assert.equal(await phone.locator('.services li').count(), 10);
}
