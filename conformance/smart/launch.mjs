// Launches the vitals app in headless Chromium, by itself and from the EHR: signs in, picks a patient, agrees, and looks at
// what the app drew with npm `fhirclient`. The environment is that of a demo's `demo.env`.
import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

const env = (name) => process.env[name] ?? fail(`${name} is not set; source the demo's demo.env`);
const [base, app, clientId] = [env('FIRTH_URL'), env('FIRTH_VITALS_URL'), env('FIRTH_VITALS_CLIENT_ID')];
const patient = env('FIRTH_PATIENT_IDS').split(',')[0];
const path = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((it) => it && existsSync(it));
const said = [];

function fail(text) {
  throw new Error(text);
}

/** Fills in what the page asks for and goes on, until the app has drawn something. */
async function through(page, steps) {
  for (const [heading, work] of steps) {
    await page.waitForFunction((text) => document.querySelector('h1')?.textContent.startsWith(text), { timeout: 20000 }, heading);
    await work(page);
  }
  await page.waitForFunction(() => document.body?.dataset.drawn, { timeout: 30000 });
  return page.evaluate(() => ({
    drawn: document.body.dataset.drawn,
    who: document.querySelector('#who').textContent,
    titles: [...document.querySelectorAll('svg[role=img] title')].map((it) => it.textContent),
    summaries: [...document.querySelectorAll('svg[role=img] desc')].map((it) => it.textContent),
    rows: [...document.querySelectorAll('tbody')].map((it) => it.rows.length),
  }));
}

const press = (selector) => async (page) => {
  await page.waitForSelector(selector);
  await page.click(selector);
};
const signIn = (name, password) => async (page) => {
  await page.type('#name', name);
  await page.type('#password', password);
  await page.click('main button[type=submit], button[type=submit]');
};
const pick = (name) => async (page) => {
  await page.type('#name', name);
  await page.click('button[value=search]');
  await page.waitForSelector(`button[value="${patient}"]`);
  await page.click(`button[value="${patient}"]`);
};
const agree = ['Allow', press('button[value=allow]')];

async function look(name, browser, url, steps) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && said.push(`${name}: ${message.text()}`));
  page.on('pageerror', (e) => said.push(`${name}: ${e.message}`));
  try {
    await page.goto(url);
    const seen = await through(page, steps);
    console.log(`${name}: ${seen.who}; ${seen.drawn}`);
    const counts = /^heart-rate:(\d+) blood-pressure:(\d+)$/.exec(seen.drawn) ?? fail(`${name}: the app says ${seen.who}`);
    if (seen.who !== whose) fail(`${name}: it is ${seen.who} who was drawn, not ${whose}`);
    if (!(counts[1] > 100 && counts[2] > 0)) fail(`${name}: too little was drawn: ${seen.drawn}`);
    if (seen.titles.join() !== 'Heart rate,Blood pressure' || seen.summaries.length !== 2) fail(`${name}: the graphics lack titles`);
    if (seen.rows.join() !== counts.slice(1).join()) fail(`${name}: the tables have ${seen.rows} rows`);
  } catch (e) {
    console.error(`${name}: at ${page.url().split('?')[0]}: ${(await page.$eval('body', (it) => it.innerText).catch(() => '')).slice(0, 600)}`);
    throw e;
  } finally {
    await context.close();
  }
}

async function launch() {
  const asked = { client_id: clientId, patient, need_patient_banner: true };
  const headers = { authorization: `Bearer ${env('FIRTH_EHR_TOKEN')}`, 'content-type': 'application/json' };
  const answer = await fetch(`${base}/oauth/launch`, { method: 'POST', headers, body: JSON.stringify(asked) });
  const body = await answer.json();
  if (answer.status !== 201) fail(`/oauth/launch answered ${answer.status}: ${JSON.stringify(body)}`);
  return `${app}?${new URLSearchParams({ iss: `${base}/fhir`, launch: body.launch })}`;
}

/** Whom the app must draw, as it says it. */
async function chosen() {
  const answer = await fetch(`${base}/fhir/Patient/${patient}`, { headers: { authorization: `Bearer ${env('FIRTH_EHR_TOKEN')}` } });
  const { name, birthDate } = await answer.json();
  return [`${name[0].given.join(' ')} ${name[0].family}`, birthDate].filter(Boolean).join(', ');
}

const whose = await chosen();
const clinician = ['Sign in', signIn(env('FIRTH_CLINICIAN_LOGIN'), env('FIRTH_CLINICIAN_PASSWORD'))];
const person = ['Sign in', signIn(env('FIRTH_PATIENT_LOGIN'), env('FIRTH_PATIENT_PASSWORD'))];
const browser = await puppeteer.launch({ executablePath: path ?? fail('no Chromium'), args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--lang=en'] });
try {
  await look('standalone, clinician', browser, app, [clinician, ['Choose a patient', pick('marl')], agree]);
  await look('standalone, patient', browser, app, [person, agree]);
  await look('EHR launch, clinician', browser, await launch(), [clinician, agree]);
} finally {
  await browser.close();
}
if (said.length) fail(`the pages said:\n${said.join('\n')}`);
