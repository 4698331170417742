/** The guide's entry flow in each app, step by step, as a citizen walks it (操作步骤 of the guide). */
import { assertCurrentStep, assertTenServices, choose, install, open, press } from './phone.mjs';
import { assertAccessible } from './support.mjs';

export const entryTests = {
  async 'Entry by WeChat'(page, picture) {
    const wechat = await open(page, 'WECHAT', 'active');
    await step(wechat, 1, '关注"成都人社局"官方微信');
    await picture('1 account');
    await press(wechat, '关注公众号');
    await wechat.getByText('欢迎关注成都人社局').waitFor();
    await step(wechat, 2, '首次使用, 一定要进行"绑卡"操作');
    await picture('2 followed');
    await choose(wechat, '新社保卡');
    await wechat.getByRole('heading', { name: '绑卡' }).waitFor();
    await picture('3 card services before binding');
    await wechat.getByRole('button', { name: '返回 Back' }).click();
    await wechat.getByRole('button', { name: '微服务' }).click();
    await picture('4 menu');
    await press(wechat, '社保查询');
    await press(wechat, '填入人物资料');
    await press(wechat, '获取验证码');
    await wechat.locator('.banner').waitFor();
    await picture('5 binding');
    await wechat.locator('.banner button').click();
    await press(wechat, '绑卡');
    await wechat.getByText('绑卡成功').waitFor();
    await step(wechat, 3, '新社保卡');
    await picture('6 bound');
    await choose(wechat, '新社保卡');
    await assertTenServices(wechat);
    await picture('7 services');
    await assertAccessible(page);
  },

  async 'Entry by WeChat, by the link of the greeting; then the account is left'(page, picture) {
    const wechat = await open(page, 'WECHAT', 'active');
    await press(wechat, '关注公众号');
    await wechat.locator('.chat .link').click();
    await wechat.getByRole('heading', { name: '绑卡' }).waitFor();
    await press(wechat, '填入人物资料');
    await press(wechat, '获取验证码');
    await wechat.locator('.banner button').click();
    await press(wechat, '绑卡');
    await wechat.getByText('绑卡成功').waitFor();
    await press(wechat, '取消关注');
    await press(wechat, '关注公众号');
    await choose(wechat, '新社保卡');
    await wechat.getByRole('heading', { name: '绑卡' }).waitFor();
    await picture('must bind again');
    await assertAccessible(page);
  },

  async 'Entry by UnionPay'(page, picture) {
    const unionpay = await open(page, 'UNIONPAY', 'active');
    await step(unionpay, 1, '下载"云闪付"并安装');
    await picture('1 store');
    await install(unionpay);
    await unionpay.getByText('生活便利', { exact: true }).waitFor();
    await step(unionpay, 2, '我的社保');
    await picture('2 home');
    await press(unionpay, '我的社保');
    await step(unionpay, 3, '社保卡线上服务');
    await picture('3 my social security');
    await press(unionpay, '社保卡线上服务');
    await assertTenServices(unionpay);
    await picture('4 services');
    await assertAccessible(page);
  },

  async 'Entry by Ping An'(page, picture) {
    const pingAn = await open(page, 'PING_AN', 'active');
    await step(pingAn, 1, '下载"城市一账通"并安装');
    await picture('1 store');
    await install(pingAn);
    await pingAn.getByText('首页服务大厅', { exact: true }).waitFor();
    await step(pingAn, 2, '社保卡服务');
    await picture('2 service hall');
    await press(pingAn, '社保卡服务');
    await assertTenServices(pingAn);
    await picture('3 services');
    await assertAccessible(page);
  },
};

/** The guide's own words stand above the phone, and the step that the citizen is at is marked. */
async function step(phone, order, words) {
  await phone.locator('.steps li[aria-current=step]', { hasText: words }).waitFor();
  await assertCurrentStep(phone, order);
}
