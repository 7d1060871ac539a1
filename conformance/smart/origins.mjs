// Pages of other origins in headless Chromium: what everybody may read, what only pages of registered clients may call, and
// what the browser keeps from all others. The environment is that of a demo's `demo.env`; the binary and the data folder of
// the demo are the arguments.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import puppeteer from 'puppeteer-core';

const [firth, data] = process.argv.slice(2);
const { FIRTH_URL: base, FIRTH_EHR_TOKEN: token } = process.env;
const path = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((it) => it && existsSync(it));

/** An origin with an empty page. */
const origin = () =>
  new Promise((done) => {
    const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>A page</title>'));
    server.listen(0, '127.0.0.1', () => done([`http://127.0.0.1:${server.address().port}`, server]));
  });

/** Calls from a page, each the status and a header that the page may read, or `kept` where the browser keeps the answer. */
const calls = (page, asked) =>
  page.evaluate(
    async (all) => {
      const one = ([url, init]) => fetch(url, init).then((it) => `${it.status} ${it.headers.get('x-request-id') ? 'id' : 'no id'}`, () => 'kept');
      return Promise.all(all.map(one));
    },
    asked,
  );

const open = ['/fhir/metadata', '/fhir/.well-known/smart-configuration', '/.well-known/openid-configuration', '/oauth/jwks'];
const bearer = { authorization: `Bearer ${token}` };
const body = JSON.stringify({ resourceType: 'Basic', code: { text: 'from a page' } });
const closed = [
  ['/fhir/Patient?_count=1', { headers: bearer }],
  ['/fhir/Basic', { method: 'POST', headers: { ...bearer, 'content-type': 'application/fhir+json' }, body }],
  ['/oauth/token', { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token' }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
];

function expect(what, got, wanted) {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) throw new Error(`${what}: ${JSON.stringify(got)}, and it should be ${JSON.stringify(wanted)}`);
  console.log(`${what}: ${got.join(', ')}`);
}

const [[registered, first], [stranger, second]] = [await origin(), await origin()];
execFileSync(firth, ['client', 'add', '--data-dir', data, '--name', 'A page', '--public', '--redirect-uri', `${registered}/callback`]);
const browser = await puppeteer.launch({ executablePath: path, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] });
try {
  const of = (all) => all.map(([url, init]) => [`${base}${url}`, init]);
  for (const [name, place, wanted] of [
    ['a registered origin', registered, ['200 id', '201 id', '401 id']],
    ['another origin', stranger, ['kept', 'kept', 'kept']],
  ]) {
    const page = await browser.newPage();
    await page.goto(place);
    const seen = await calls(page, of(open.map((url) => [url, {}])));
    expect(`${name}, what everybody may read`, seen.map((it) => it.split(' ')[0]), open.map(() => '200'));
    expect(`${name}, the API`, await calls(page, of(closed)), wanted);
  }
} finally {
  await browser.close();
  first.close();
  second.close();
}
