import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { chromium } from 'playwright-core';

/** Milliseconds for one step: a moment on an idle machine, many seconds where others have it. */
const PATIENCE = 60_000;
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Beside the route below: sockets and the browser itself find no other host either.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];
const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** One Chromium; every test gets a fresh profile and may reach the server alone. */
export class Browser {
  static async launch(baseURL) {
    const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
    return new Browser(await chromium.launch({ executablePath, args: FLAGS }), baseURL);
  }

  constructor(chromium, baseURL) {
    this.chromium = chromium;
    this.baseURL = baseURL;
  }

  async run(name, test) {
    const context = await this.chromium.newContext({ baseURL: this.baseURL, viewport: { width: 1480, height: 1000 } });
    const complaints = [];
    try {
      await context.route('**', (route) => {
        const url = new URL(route.request().url());
        if (LOOPBACK.has(url.hostname)) return route.continue();
        complaints.push(`asked another host: ${url}`);
        return route.abort();
      });
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE);
      page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
      page.on('console', (message) => message.type() === 'error' && complaints.push(`console: ${message.text()}`));
      await test(page, (step) => this.picture(page, `${name} ${step}`)).catch(async (error) => {
        await this.picture(page, `${name} (failed)`);
        const said = await page.locator('output:visible, [role=alert]:visible').allInnerTexts();
        throw new Error(`the page says: ${said.join(' | ')}`, { cause: error });
      });
      await this.picture(page, name);
      assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  }

  async picture(page, name) {
    const folder = process.env.SCREENSHOTS;
    if (folder) await page.screenshot({ path: `${folder}/${name.replaceAll(' ', '-')}.png`, fullPage: true });
  }

  close() {
    return this.chromium.close();
  }
}

/** Fails on every serious or critical finding of axe. */
export async function assertAccessible(page) {
  // The DevTools protocol's evaluation is not subject to the page's Content-Security-Policy.
  const { violations } = await page.evaluate(`${axeSource}; axe.run(document)`);
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  assert.deepEqual(
    grave.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(', ')}`),
    [],
  );
}
