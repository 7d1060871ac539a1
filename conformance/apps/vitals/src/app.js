// A SMART app: asks for access, reads the last day of a patient's heart rate and blood pressure, and draws them.
import FHIR from 'fhirclient';

const HEART_RATE = '8867-4';
const BLOOD_PRESSURE = '85354-9';
const SYSTOLIC = '8480-6';
const DIASTOLIC = '8462-4';
const DAY = 24 * 3600 * 1000;
const DATA = 'patient/Patient.r patient/Observation.rs';

const said = document.querySelector('#who');
const here = new URL('.', location.href).href;

/** An element, or with `svg` a graphic: its attributes, its text or children. */
function make(name, attributes = {}, ...children) {
  const svg = ['svg', 'title', 'desc', 'path', 'line', 'circle', 'text', 'g'].includes(name);
  const it = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) it.setAttribute(key, value);
  it.append(...children);
  return it;
}

const coded = (concept, code) => concept.coding?.some((one) => one.system === 'http://loinc.org' && one.code === code);
const clock = (at) => new Date(at).toLocaleString([], { weekday: 'short', hour: '2-digit', minute: '2-digit' });

/** Rows of [time, number, ...], oldest first; a number is the value of a code or of a component of one. */
function rows(observations, code, parts = []) {
  const value = (it, part) => (part ? it.component?.find((one) => coded(one.code, part)) : it)?.valueQuantity?.value;
  return observations
    .filter((it) => coded(it.code, code))
    .map((it) => [Date.parse(it.effectiveDateTime ?? it.effectivePeriod?.start), ...(parts.length ? parts : [null]).map((part) => value(it, part))])
    .filter((row) => row.every(Number.isFinite))
    .sort((a, b) => a[0] - b[0]);
}

/** A section with a chart of the last day, and the same numbers as a table. */
function chart(id, title, unit, names, data, draw) {
  const numbers = data.flatMap((row) => row.slice(1));
  const [low, high] = [Math.floor(Math.min(...numbers) / 10) * 10, Math.ceil(Math.max(...numbers) / 10 + 0.1) * 10];
  const [left, top, width, height] = [40, 10, 900, 200];
  const [end, start] = [Date.now(), Date.now() - DAY];
  const x = (at) => (left + ((at - start) / (end - start)) * (width - left - 10)).toFixed(1);
  const y = (value) => (top + (1 - (value - low) / (high - low)) * (height - 40)).toFixed(1);
  const lines = [low, (low + high) / 2, high].map((at) =>
    make('g', {}, make('line', { class: 'rule', x1: left, x2: width, y1: y(at), y2: y(at) }), make('text', { x: 0, y: y(at) }, `${at}`)));
  const hours = [0, 6, 12, 18].map((n) => make('text', { x: x(start + (n * DAY) / 24), y: height - 10 }, clock(start + (n * DAY) / 24)));
  const sums = `${data.length} measurements, from ${Math.min(...numbers)} to ${Math.max(...numbers)} ${unit}, the last at ${clock(data.at(-1)[0])}.`;
  const graphic = make('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-labelledby': `${id}-title ${id}-sums` },
    make('title', { id: `${id}-title` }, title), make('desc', { id: `${id}-sums` }, sums), ...lines, ...hours, ...draw(data, x, y));
  const cells = (kind, row) => make('tr', {}, ...row.map((cell) => make(kind, kind === 'th' ? { scope: 'col' } : {}, `${cell}`)));
  const table = make('table', {}, make('caption', {}, `${title} in ${unit}`), make('thead', {}, cells('th', ['Time', ...names])),
    make('tbody', {}, ...data.toReversed().map(([at, ...values]) => cells('td', [clock(at), ...values]))));
  return make('section', { id }, make('h2', {}, `${title} (${unit})`), graphic, make('details', {}, make('summary', {}, `${sums} As a table`), table));
}

const curve = (data, x, y) => [make('path', { class: 'line', d: data.map(([at, value], n) => `${n ? 'L' : 'M'}${x(at)} ${y(value)}`).join('') })];
const spans = (data, x, y) => data.flatMap(([at, high, low]) => [
  make('line', { class: 'bar', x1: x(at), x2: x(at), y1: y(high), y2: y(low) }),
  make('circle', { class: 'high', cx: x(at), cy: y(high), r: 4 }), make('circle', { class: 'low', cx: x(at), cy: y(low), r: 4 })]);

async function show(client) {
  const patient = await client.patient.read();
  const name = patient.name?.[0];
  said.textContent = [[...(name?.given ?? []), name?.family].filter(Boolean).join(' ') || 'A patient without a name', patient.birthDate].filter(Boolean).join(', ');
  const codes = [HEART_RATE, BLOOD_PRESSURE].map((code) => `http://loinc.org|${code}`).join(',');
  const asked = new URLSearchParams({ patient: patient.id, code: codes, date: `ge${new Date(Date.now() - DAY).toISOString()}`, _count: '1000' });
  const observations = await client.request(`Observation?${asked}`, { flat: true, pageLimit: 0 });
  const [hearts, pressures] = [rows(observations, HEART_RATE), rows(observations, BLOOD_PRESSURE, [SYSTOLIC, DIASTOLIC])];
  const charts = [];
  if (hearts.length) charts.push(chart('heart-rate', 'Heart rate', '/min', ['Heart rate'], hearts, curve));
  if (pressures.length) charts.push(chart('blood-pressure', 'Blood pressure', 'mmHg', ['Systolic', 'Diastolic'], pressures, spans));
  if (!charts.length) charts.push(make('p', {}, 'Nothing was measured in the last 24 hours.'));
  document.querySelector('#charts').replaceChildren(...charts);
  document.body.dataset.drawn = `heart-rate:${hearts.length} blood-pressure:${pressures.length}`;
}

async function start() {
  // `client.json` beside this page says who the app is, and where it looks when it is opened by itself.
  const { client_id: clientId, iss } = await (await fetch('client.json')).json();
  const byEhr = new URLSearchParams(location.search).has('launch');
  const scope = `${byEhr ? 'launch' : 'launch/patient'} openid fhirUser ${DATA}`;
  return show(await FHIR.oauth2.init({ clientId, scope, redirectUri: here, ...(byEhr ? {} : { iss }), pkceMode: 'required', noRedirect: false }));
}

start().catch((e) => {
  said.className = 'wrong';
  said.textContent = `${e.message ?? e}`;
  document.body.dataset.drawn = 'wrong';
});
