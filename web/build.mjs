/** Builds the two pages; with `--watch`, again whenever one of their files changes. */
import { build, context } from 'esbuild';
import { mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const watching = process.argv.includes('--watch');

const pages = [
  { source: 'src/playground', entry: 'main.tsx', target: '../gateway/http/graphql/static/playground' },
  { source: 'src/sandbox', entry: 'main.ts', target: '../sandbox/static' },
];

async function buildPage({ source, entry, target }) {
  const outdir = here(target);
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  const options = {
    entryPoints: { main: here(`${source}/${entry}`), index: here(`${source}/index.html`) },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    jsx: 'automatic',
    loader: { '.html': 'copy' },
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'linked',
    logLevel: watching ? 'info' : 'warning',
  };
  if (watching) return (await context(options)).watch();
  await build(options);
}

await Promise.all(pages.map(buildPage));
