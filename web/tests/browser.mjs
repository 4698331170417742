/**
 * Walks the playground and the sandbox page in Chromium, with nothing reachable but the server.
 *
 *   npm run test:browser -- --base-url http://127.0.0.1:8000
 *
 * CHROMIUM names another browser than /usr/bin/chromium; SCREENSHOTS a folder for pictures.
 */
import { inspect, parseArgs } from 'node:util';

import { Browser } from './support.mjs';
import { entryTests } from './entries.mjs';
import { playgroundTests } from './playground.mjs';
import { sandboxTests } from './sandbox.mjs';

const { values } = parseArgs({ options: { 'base-url': { type: 'string', default: 'http://127.0.0.1:8000' } } });
const browser = await Browser.launch(values['base-url']);
let failures = 0;

for (const [name, test] of Object.entries({ ...entryTests, ...playgroundTests, ...sandboxTests })) {
  try {
    await browser.run(name, test);
    console.log(`ok    ${name}`);
  } catch (error) {
    failures += 1;
    console.error(`FAIL  ${name}\n${inspect(error)}\n`);
  }
}

await browser.close();
process.exitCode = failures ? 1 : 0;
