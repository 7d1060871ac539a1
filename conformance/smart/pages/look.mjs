// Somebody without a mouse signs in, picks a patient, takes a scope away, agrees, and takes it all back. Each page is judged
// by axe, bright and dark, wide and narrow.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import axe from 'axe-core';
import puppeteer from 'puppeteer-core';
import { create, freePort, startFirth } from '../firth.mjs';

const PASSWORD = 'violet tractor hums backwards';
const path = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((it) => it && existsSync(it));
assert.ok(path, 'pages: no Chromium; apt-get install chromium');
const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
const challenge = createHash('sha256').update(verifier).digest('base64url');

// An app as they are: what takes the code sends the browser on to where its pages are, which is another origin.
const app = createServer((asked, answer) => {
  if (asked.url.startsWith('/cb')) answer.writeHead(302, { location: `http://localhost:${app.address().port}/home${asked.url.slice(3)}` }).end();
  else answer.setHeader('content-type', 'text/html').end('<!doctype html><html lang="en"><title>The app</title><h1>The app</h1></html>');
});
await new Promise((done) => app.listen(0, done));
const callback = `http://127.0.0.1:${app.address().port}/cb`;
const home = `http://localhost:${app.address().port}/home`;
const firth = await startFirth(process.argv[2], await freePort());
const said = [];

async function judged(page, name) {
  for (const [scheme, width] of [['light', 1280], ['dark', 1280], ['light', 320]]) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.setViewport({ width, height: 900 });
    await page.evaluate(axe.source);
    const found = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    const faults = found.violations.map((it) => `${it.id}: ${it.help} ${it.nodes.map((node) => node.html).join(' ')}`);
    assert.deepEqual(faults, [], `${name}, ${scheme}, ${width}`);
    assert.ok(found.passes.length > 10, `${name}: axe judged next to nothing`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than ${width}`);
  }
  await page.setViewport({ width: 1280, height: 900 });
}

const focused = (page) => page.evaluate(() => {
  const at = document.activeElement;
  return { id: at.id, text: at.textContent.trim(), value: at.value ?? '', outline: getComputedStyle(at).outlineStyle };
});

/** Goes on by Tab until the focus is there; what has the focus shows it. */
async function tabTo(page, there) {
  for (let n = 0; n < 60; n += 1) {
    const at = await focused(page);
    if (there(at)) return;
    await page.keyboard.press('Tab');
    const next = await focused(page);
    if (next.id || next.text) assert.notEqual(next.outline, 'none', `the focus on ${next.id || next.text} does not show`);
  }
  assert.fail(`no key leads there: ${there} ${await page.content()}`);
}

const id = (wanted) => (at) => at.id === wanted;
const button = (value) => (at) => at.value === value;
const heading = (page, text) => page.waitForFunction((text) => document.querySelector('h1')?.textContent.startsWith(text), { timeout: 20000 }, text);

async function enter(page) {
  await Promise.all([page.waitForNavigation({ timeout: 20000 }), page.keyboard.press('Enter')]);
}

async function type(page, field, text) {
  await tabTo(page, id(field));
  await page.keyboard.type(text);
}

async function walk(page, client, patient) {
  const asked = { response_type: 'code', client_id: client, redirect_uri: callback, state: 'a state', aud: `${firth.url}/fhir`, code_challenge: challenge, code_challenge_method: 'S256', scope: 'launch/patient openid fhirUser patient/Observation.rs patient/Patient.rs' };
  await page.goto(`${firth.url}/oauth/authorize?${new URLSearchParams(asked)}`);
  await heading(page, 'Sign in');
  await judged(page, 'sign-in');
  await type(page, 'name', 'ruiz');
  await type(page, 'password', 'not the password');
  await enter(page);
  await heading(page, 'Sign in');
  assert.match(await page.title(), /^Error: /);
  assert.equal((await focused(page)).text.startsWith('There is a problem'), true, 'the summary of faults has the focus');
  await judged(page, 'sign-in with a fault');
  await tabTo(page, id('password'));
  await page.keyboard.type(PASSWORD);
  await enter(page);
  await heading(page, 'Choose a patient');
  await judged(page, 'picker');
  await type(page, 'name', 'a');
  await enter(page);
  await heading(page, 'Choose a patient');
  await judged(page, 'picker with a fault');
  await type(page, 'name', 'ana');
  await enter(page);
  await page.waitForSelector('table');
  await judged(page, 'picker with patients');
  await tabTo(page, button(patient));
  await enter(page);
  await heading(page, 'Allow The Vitals');
  await judged(page, 'consent');
  await tabTo(page, button('patient/Observation.rs'));
  await page.keyboard.press('Space');
  await tabTo(page, button('allow'));
  await enter(page);
  const back = new URL(page.url());
  assert.equal(back.origin + back.pathname, home);
  assert.deepEqual([back.searchParams.get('state'), back.searchParams.get('iss')], ['a state', firth.url]);
  const form = new URLSearchParams({ grant_type: 'authorization_code', code: back.searchParams.get('code'), redirect_uri: callback, client_id: client, code_verifier: verifier });
  const token = await (await fetch(`${firth.url}/oauth/token`, { method: 'POST', body: form })).json();
  assert.deepEqual([token.patient, token.scope.includes('patient/Patient.rs'), token.scope.includes('patient/Observation.rs')], [patient, true, false]);
}

async function own(page) {
  await page.goto(`${firth.url}/account`);
  await heading(page, 'Your account');
  await judged(page, 'account');
  await page.goto(`${firth.url}/account/password`);
  await heading(page, 'Choose a new password');
  await judged(page, 'new password');
  await page.goto(`${firth.url}/account`);
  await tabTo(page, (at) => at.text.startsWith('Take back'));
  await enter(page);
  await page.waitForFunction(() => document.body.innerText.includes('No app has access by you.'));
  await tabTo(page, (at) => at.text === 'Sign out');
  await enter(page);
  await heading(page, 'Sign in');
  await page.goto(`${firth.url}/oauth/authorize`);
  await heading(page, 'This does not work');
  await judged(page, 'an error');
}

let browser;
try {
  const token = firth.value(firth.verb(['token', 'issue', '--role', 'ehr-system']), 'token');
  const practitioner = `Practitioner/${await create(firth, token, { resourceType: 'Practitioner', name: [{ family: 'Ruiz' }] })}`;
  const patients = [];
  for (const given of ['Ana', 'Anatol']) {
    patients.push(await create(firth, token, { resourceType: 'Patient', name: [{ given: [given], family: 'Solveig' }], birthDate: '1987-03-24', gender: 'female', identifier: [{ value: `MRN-004711${given}` }] }));
    const subject = { reference: `Patient/${patients.at(-1)}` };
    await create(firth, token, { resourceType: 'CareTeam', status: 'active', subject, participant: [{ member: { reference: practitioner } }] });
  }
  firth.verb(['account', 'add', 'ruiz', '--role', 'clinician', '--fhir-user', practitioner, '--password-stdin'], `${PASSWORD}\n`);
  const client = firth.value(firth.verb(['client', 'add', '--name', 'The Vitals', '--public', '--redirect-uri', callback]), 'client_id');
  browser = await puppeteer.launch({ executablePath: path, headless: true, args: ['--no-sandbox', '--disable-quic', '--disable-background-networking'] });
  const page = await browser.newPage();
  // A page that is refused is an error in the console, too; what it is for is looked at here.
  page.on('console', (message) => message.type() === 'error' && !/status of 4\d\d/.test(message.text()) && said.push(message.text()));
  page.on('pageerror', (e) => said.push(e.message));
  await page.evaluateOnNewDocument(() => document.addEventListener('securitypolicyviolation', (e) => console.error(`the policy stopped ${e.violatedDirective} ${e.blockedURI}`)));
  await walk(page, client, patients[0]);
  await own(page);
  assert.deepEqual(said, []);
  console.log('pages: signed in, picked, agreed and took back by keyboard; axe found nothing');
} catch (e) {
  console.error(firth.log().split('\n').slice(-15).join('\n'));
  throw e;
} finally {
  await browser?.close();
  await firth.stop();
  app.closeAllConnections();
  app.close();
}
