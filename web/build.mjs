/** Builds the two pages; with `--watch`, again whenever one of their files changes. */
import { build, context } from 'esbuild';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const watching = process.argv.includes('--watch');

const pages = [
  { source: 'src/playground', entry: 'main.tsx', target: '../gateway/http/graphql/static/playground', compressed: true },
  { source: 'src/sandbox', entry: 'main.ts', target: '../sandbox/static' },
];

async function buildPage({ source, entry, target, compressed }) {
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
  if (compressed) for (const name of await readdir(outdir)) await compress(`${outdir}/${name}`);
}

/** `EncodedFiles` serves these instead of the file to clients that accept them. */
async function compress(file) {
  const content = await readFile(file);
  if (content.length < 1024) return;
  await writeFile(`${file}.br`, brotliCompressSync(content));
  await writeFile(`${file}.gz`, gzipSync(content, { level: 9 }));
}

await Promise.all(pages.map(buildPage));
