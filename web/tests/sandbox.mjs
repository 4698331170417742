import assert from 'node:assert/strict';

import { assertCurrentStep, assertTenServices, choose, install, open, press } from './phone.mjs';
import { assertAccessible } from './support.mjs';

export const sandboxTests = {
  async 'WeChat: follow, bind the card, then open the services'(page) {
    const wechat = await open(page, 'WECHAT', 'active');

    await press(wechat, '关注公众号');
    await choose(wechat, '社保查询');
    await press(wechat, '填入人物资料');
    await assertAccessible(page);
    await fillSentCode(wechat);
    await press(wechat, '绑卡');
    await wechat.getByText('绑卡成功').waitFor();
    await choose(wechat, '新社保卡');

    await assertTenServices(wechat);
    await assertCurrentStep(wechat, 3);
  },

  async 'UnionPay: from the store to the services, a wrong code, then the loss is reported'(page) {
    const unionpay = await open(page, 'UNIONPAY', 'active');

    await enterUnionpay(unionpay);
    await assertTenServices(unionpay);
    await assertAccessible(page);

    await unionpay.locator('[data-service=REPORT_LOSS]').click();
    await press(unionpay, '填入人物资料');
    await press(unionpay, '获取验证码');
    await unionpay.locator('.banner').waitFor();
    await unionpay.getByLabel('验证码', { exact: true }).fill('000000');
    await press(unionpay, '挂失');
    assert.equal(await unionpay.locator('[aria-invalid=true]').getAttribute('name'), 'code');
    await assertAccessible(page);

    await unionpay.locator('.banner button').click();
    await press(unionpay, '挂失');
    await unionpay.getByText('挂失成功').first().waitFor();
  },

  async 'Ping An: the service hall, and a new card applied for'(page) {
    const pingAn = await open(page, 'PING_AN', 'no-card');

    await enterPingAn(pingAn);
    await assertTenServices(pingAn);

    await pingAn.locator('[data-service=APPLY_CARD]').click();
    await press(pingAn, '我已阅读并同意');
    await press(pingAn, '使用示例图片');
    await pingAn.getByText('自动处理后照片预览').waitFor();
    await assertAccessible(page);
    await press(pingAn, '确认上传');
    await uploadBothSides(pingAn);
    await press(pingAn, '确认上传');

    await fillApplication(pingAn);
    await fillSentCode(pingAn, '发送验证码');
    await assertAccessible(page);
    await press(pingAn, '申请');
    await pingAn.getByText('申办已受理').first().waitFor();
  },

  async 'the production progress follows the issuer live'(page) {
    const pingAn = await open(page, 'PING_AN', 'in-production');
    await enterPingAn(pingAn);
    await pingAn.locator('[data-service=PRODUCTION_PROGRESS]').click();
    await pingAn.locator('.nodes').waitFor();
    assert.equal(await pingAn.locator('.nodes li').count(), 6);
    const done = await pingAn.locator('[data-result=DONE]').count();

    await press(page, '推进一个业务节点');

    await pingAn.locator('[data-result=DONE]').nth(done).waitFor();
    await assertAccessible(page);
  },

  async 'a code expires once the time was moved on, and the reset brings the time back'(page) {
    const unionpay = await open(page, 'UNIONPAY', 'active');
    await enterUnionpay(unionpay);
    await unionpay.locator('[data-service=REPORT_LOSS]').click();
    await press(unionpay, '填入人物资料');
    await fillSentCode(unionpay);

    await press(page, '快进 5 分钟');
    await page.getByText('已快进 5 分钟').waitFor();
    await press(unionpay, '挂失');

    await unionpay.getByText('验证码已过期').first().waitFor();
    await assertAccessible(page);
    await page.request.post('/sandbox/reset', { data: {} });
    const { moved } = await (await page.request.get('/sandbox/clock')).json();
    assert.equal(moved, 'P0D');
  },

  async 'the address in a receipt\'s QR code shows the progress after signing in'(page) {
    const pingAn = await open(page, 'PING_AN', 'in-production', '/sandbox/#PRODUCTION_PROGRESS');

    await enterPingAn(pingAn);

    await pingAn.locator('.nodes').waitFor();
    assert.equal(await pingAn.locator('.nodes li').count(), 6);
  },
};

async function enterUnionpay(phone) {
  await install(phone);
  await press(phone, '我的社保');
  await press(phone, '社保卡线上服务');
}

async function enterPingAn(phone) {
  await install(phone);
  await press(phone, '社保卡服务');
}

async function fillSentCode(phone, label = '获取验证码') {
  await press(phone, label);
  await phone.locator('.banner button').click();
}

async function uploadBothSides(phone) {
  await phone.getByRole('heading', { name: '预审证件照片' }).waitFor();
  for (const side of [0, 1]) {
    await phone.getByRole('button', { name: '使用示例图片' }).nth(side).click();
    await phone.getByText('1/1 已上传').nth(side).waitFor();
  }
}

/** Takes the first choice of every select that is still open, in the order of the form. */
async function fillApplication(phone) {
  await press(phone, '填入人物资料');
  for (const select of await phone.locator('form select').all()) {
    if (await select.inputValue()) continue;
    await select.locator('option').nth(1).waitFor({ state: 'attached' });
    await select.selectOption({ index: 1 });
  }
}
