import assert from 'node:assert/strict';

import { assertAccessible } from './support.mjs';

export const playgroundTests = {
  async 'playground runs a query without signing in'(page) {
    await open(page);

    await execute(page);

    await response(page).getByText('成都人社局').first().waitFor();
    await assertAccessible(page);
  },

  async 'playground signs in as a persona and writes the token into every tab'(page) {
    await open(page);

    await signIn(page, 'UNIONPAY', 'active');

    await openTab(page, 'Viewer');
    await execute(page);
    await response(page).getByText('socialSecurityNumber').waitFor();
    await response(page).getByText('UNIONPAY').waitFor();
    await assertAccessible(page);
  },

  async 'playground binds the card of a persona on WeChat'(page) {
    await open(page);

    await signIn(page, 'WECHAT', 'temporarily-lost');

    await openTab(page, 'Viewer');
    await execute(page);
    await response(page).getByText('WECHAT').waitFor();
    assert.match(await response(page).innerText(), /"bound": true/);
  },

  async 'playground walks a newcomer through a service by its guide'(page) {
    await open(page);

    await page.locator('.guide li', { hasText: '解挂' }).getByRole('button', { name: 'lost' }).click();
    await page.locator('.persona-bar output.signed-in').waitFor();
    await page.getByRole('button', { name: '获取验证码 Get code' }).click();
    await page.locator('.persona-bar output', { hasText: '已填入验证码' }).waitFor();
    await execute(page);

    await response(page).getByText('"cancelLoss"').waitFor();
    assert.match(await response(page).innerText(), /"stateName": "(正常|active)"/);
    await assertAccessible(page);
  },

  async 'every step of the guide has its tab, and opens it again when it was closed'(page) {
    await open(page);

    for (const step of await page.locator('.guide-step').all()) {
      await step.click();
      assert.equal(await step.getAttribute('aria-current'), 'step', await step.innerText());
    }
    await page.locator('.graphiql-tab-active .graphiql-tab-close').click();
    const last = page.locator('.guide-step').last();
    assert.equal(await last.getAttribute('aria-current'), null);
    await last.click();
    await page.locator('.graphiql-query-editor').getByText('signOut', { exact: true }).waitFor();
  },

  async 'playground answers in the language that is chosen'(page) {
    await open(page);

    await page.getByLabel('回答').selectOption('zh');
    await execute(page);
    await response(page).getByText('关注').first().waitFor();
    await page.getByLabel('回答').selectOption('en');
    await execute(page);
    await response(page).getByText('Follow the WeChat').first().waitFor();
  },

  async 'playground shows the documentation and the explorer'(page) {
    await open(page);

    await page.getByRole('button', { name: /Documentation Explorer/ }).click();
    await page.locator('.graphiql-doc-explorer-type-name', { hasText: /^Query$/ }).click();
    await page.getByText('查询 · Read operations').waitFor();
    await assertAccessible(page);
    await page.getByRole('button', { name: /字段勾选/ }).click();
    await page.locator('.graphiql-explorer-root').getByText('channels').first().waitFor();
  },

  async 'playground is readable in the dark'(page) {
    await page.emulateMedia({ colorScheme: 'dark' });
    await open(page);

    await execute(page);

    await response(page).getByText('成都人社局').first().waitFor();
    await assertAccessible(page);
  },

  async 'playground follows a subscription'(page) {
    await open(page);
    await signIn(page, 'PING_AN', 'in-production');

    await openTab(page, 'ProductionProgressLive');
    await execute(page);

    await response(page).getByText('"productionProgress"', { exact: true }).waitFor();
  },
};

async function open(page) {
  const loaded = await page.goto('/graphql');
  assert.match(loaded.headers()['content-security-policy'], /script-src 'self'/);
  await page.locator('.persona-bar').waitFor();
  await page.locator('.graphiql-query-editor .CodeMirror-code').waitFor();
  await page.locator('.result-window .CodeMirror').waitFor();
}

async function signIn(page, channel, persona) {
  await page.getByLabel('渠道').selectOption(channel);
  await page.getByLabel('人物').selectOption(persona);
  await page.locator('.persona-bar').getByRole('button', { name: '登录' }).click();
  await page.locator('.persona-bar output.signed-in').waitFor();
}

async function openTab(page, name) {
  await page.getByRole('button', { name, exact: true }).click();
  // GraphiQL learns the name of a tab's operation a moment after the tab is opened.
  await page.waitForTimeout(500);
}

const execute = (page) => page.getByRole('button', { name: /Execute query/ }).click();
const response = (page) => page.locator('.result-window .CodeMirror-code');
