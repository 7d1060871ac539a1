// A person signs in at the provider, agrees there, and is signed in to Firth: by the link that an operator made, and by
// claims. Redirects are followed by hand, as a browser does, with its cookies.
import assert from 'node:assert/strict';
import Provider from 'oidc-provider';
import { create, freePort, startFirth } from '../firth.mjs';

const [port, own] = [await freePort(), await freePort()];
const issuer = `http://127.0.0.1:${own}`;
const people = {};

const provider = new Provider(issuer, {
  clients: [{ client_id: 'firth', client_secret: 'a-secret-of-the-test', redirect_uris: [`http://127.0.0.1:${port}/sign-in/upstream`] }],
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], profile: ['preferred_username', 'fhirUser', 'groups'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  cookies: { keys: ['for this test'] },
  pkce: { required: () => true },
});
const listening = provider.listen(own, '127.0.0.1');

/** A browser: cookies by host, and one request at a time. */
function browser() {
  const jars = new Map();
  const go = async (url, body) => {
    const jar = jars.get(new URL(url).host) ?? new Map();
    jars.set(new URL(url).host, jar);
    const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') };
    if (body) headers['content-type'] = 'application/x-www-form-urlencoded';
    const answer = await fetch(url, { method: body ? 'POST' : 'GET', headers, body: body && String(new URLSearchParams(body)), redirect: 'manual' });
    for (const set of answer.headers.getSetCookie()) {
      const [name, value] = set.split(';')[0].split(/=(.*)/s);
      value === '' ? jar.delete(name) : jar.set(name, value);
    }
    const text = await answer.text();
    return { status: answer.status, text, url, to: answer.headers.get('location') && new URL(answer.headers.get('location'), url).href };
  };
  const follow = async (page) => {
    while (page.to) page = await go(page.to);
    return page;
  };
  return { go, follow };
}

/** Signs in at the provider as this person, and answers the page on which it ends. */
async function signIn(firth, person) {
  const { go, follow } = browser();
  const start = await go(`${firth.url}/sign-in`);
  const link = /href="([^"]*\/sign-in\/upstream\?begin=[^"]*)"/.exec(start.text)[1];
  let page = await follow(await go(new URL(link, firth.url).href));
  for (let n = 0; n < 4 && page.url.startsWith(issuer); n += 1) {
    const action = /<form[^>]* action="([^"]*)"/.exec(page.text)?.[1];
    assert.ok(action, `${page.status} ${page.url}: ${page.text}`);
    const prompt = /name="prompt" value="([^"]*)"/.exec(page.text)[1];
    page = await follow(await go(new URL(action, page.url).href, prompt === 'login' ? { prompt, login: person, password: 'any' } : { prompt }));
  }
  return page;
}

const settings = `[sign_in]
issuer = "${issuer}"
client_id = "firth"
client_secret = "a-secret-of-the-test"
label = "Sign in at the clinic"
role_claim = "groups"
[sign_in.roles]
staff = "clinician"
`;
const firth = await startFirth(process.argv[2], port, settings);
try {
  const token = firth.value(firth.verb(['token', 'issue', '--role', 'ehr-system']), 'token');
  const practitioner = await create(firth, token, { resourceType: 'Practitioner', name: [{ family: 'Ruiz' }] });
  people['linked'] = { preferred_username: 'linked at the clinic' };
  people['claimed'] = { preferred_username: 'dr.ruiz', fhirUser: `Practitioner/${practitioner}`, groups: ['staff'] };
  people['stranger'] = { preferred_username: 'stranger' };

  const refused = await signIn(firth, 'stranger');
  assert.equal(refused.status, 403, refused.text);
  assert.match(refused.text, /firth account link NAME/);

  firth.verb(['account', 'add', 'sol', '--role', 'clinician', '--no-password']);
  firth.verb(['account', 'link', 'sol', '--issuer', issuer, '--subject', 'linked']);
  const linked = await signIn(firth, 'linked');
  assert.deepEqual([linked.status, linked.url], [200, `${firth.url}/account`], linked.text);
  assert.match(linked.text, /<dd>sol<\/dd>/);

  firth.verb(['account', 'unlink', 'sol', '--issuer', issuer, '--subject', 'linked']);
  const unlinked = await signIn(firth, 'linked');
  assert.equal(unlinked.status, 403, unlinked.text);

  const claimed = await signIn(firth, 'claimed');
  assert.deepEqual([claimed.status, claimed.url], [200, `${firth.url}/account`], claimed.text);
  assert.ok(claimed.text.includes('dr.ruiz') && claimed.text.includes(`Practitioner/${practitioner}`) && claimed.text.includes('clinician'), claimed.text);
  console.log('upstream: a linked subject and one with claims signed in; a stranger did not, nor who was linked no more');
} catch (e) {
  console.error(firth.log().split('\n').slice(-15).join('\n'));
  throw e;
} finally {
  await firth.stop();
  listening.closeAllConnections();
  listening.close();
}
