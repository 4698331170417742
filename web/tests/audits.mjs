// Every audit of the GraphQL-over-HTTP specification, against a running server.
import { parseArgs } from 'node:util';
import { serverAudits } from 'graphql-http';

const { values } = parseArgs({ options: { 'base-url': { type: 'string' } } });
const audits = serverAudits({ url: `${values['base-url']}/graphql`, fetchFn: fetch });
const failed = [];
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status !== 'ok') failed.push(`${result.status} ${audit.name}: ${result.reason}`);
}
console.log(`${audits.length - failed.length} of ${audits.length} audits pass`);
failed.forEach((line) => console.error(line));
process.exit(failed.length ? 1 : 0);
