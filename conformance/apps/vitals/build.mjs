// Bundles src/ into dist/, which any web server can serve, with the licences of what was bundled.
import { build } from 'esbuild';
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';

await rm('dist', { recursive: true, force: true });
await mkdir('dist', { recursive: true });
const { metafile } = await build({
  entryPoints: ['src/app.js', 'src/app.css'],
  outdir: 'dist',
  bundle: true,
  minify: true,
  target: 'es2022',
  metafile: true,
});
await copyFile('src/index.html', 'dist/index.html');

const packages = new Set(Object.keys(metafile.inputs).flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []));
let licences = 'app.js was bundled with these packages.\n';
for (const name of [...packages].sort()) {
  const { version, license } = JSON.parse(await readFile(`node_modules/${name}/package.json`, 'utf8'));
  const file = (await readdir(`node_modules/${name}`)).find((it) => /^licen[cs]e/i.test(it));
  licences += `\n${'='.repeat(80)}\n${name} ${version} (${license})\n\n${file ? await readFile(`node_modules/${name}/${file}`, 'utf8') : ''}`;
}
await writeFile('dist/licences.txt', licences);
