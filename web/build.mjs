import { build } from 'esbuild';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const pages = [
  { source: 'src/playground', entry: 'main.tsx', target: '../gateway/http/graphql/static/playground' },
  { source: 'src/sandbox', entry: 'main.ts', target: '../sandbox/static' },
];

async function buildPage({ source, entry, target }) {
  const outdir = here(target);
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  await build({
    entryPoints: { main: here(`${source}/${entry}`) },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'linked',
    logLevel: 'warning',
  });
  await copyFile(here(`${source}/index.html`), `${outdir}/index.html`);
}

await Promise.all(pages.map(buildPage));
