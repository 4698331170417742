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
  await page.getByRole('button', { name: '登录' }).click();
  await page.locator('.persona-bar output.signed-in').waitFor();
}

async function openTab(page, name) {
  await page.getByRole('button', { name, exact: true }).click();
  // GraphiQL learns the name of a tab's operation a moment after the tab is opened.
  await page.waitForTimeout(500);
}

const execute = (page) => page.getByRole('button', { name: /Execute query/ }).click();
const response = (page) => page.locator('.result-window .CodeMirror-code');
