/** Validates every GraphQL document of both pages against schema.graphql. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { buildSchema, parse, validate } from 'graphql';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const schema = buildSchema(await readFile(here('../../schema.graphql'), 'utf8'));
let failures = 0;

for (const page of ['playground', 'sandbox']) {
  for (const [name, text] of await documents(page)) {
    const problems = validate(schema, parse(text));
    failures += problems.length;
    for (const { message } of problems) console.error(`${page} ${name}: ${message}`);
  }
}

console.log(failures ? `${failures} problems` : 'every document is valid');
process.exitCode = failures ? 1 : 0;

async function documents(page) {
  const { outputFiles } = await build({
    entryPoints: [here(`../src/${page}/documents.ts`)],
    bundle: true,
    format: 'esm',
    write: false,
  });
  const module = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
  return Object.entries(module).flatMap(([name, value]) =>
    Array.isArray(value) ? value.map(({ query }, index) => [`${name}[${index}]`, query]) : [[name, value]],
  );
}
