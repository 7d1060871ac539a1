// A server of its own on a throw-away folder, for the checks of this folder that need no demo.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A port that is free now. */
export const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** Starts the binary with these lines in its settings file. */
export async function startFirth(binary, port, settings = '') {
  const folder = mkdtempSync(join(tmpdir(), 'firth-smart-'));
  writeFileSync(join(folder, 'firth.toml'), settings);
  const env = { PATH: process.env.PATH, HOME: folder, FIRTH_DATA_DIR: join(folder, 'data'), FIRTH_ROOT_KEY_FILE: join(folder, 'root.key'), FIRTH_LISTEN: `127.0.0.1:${port}` };
  const verb = (args, input = '') => execFileSync(binary, args, { cwd: folder, env, input, encoding: 'utf8' });
  verb(['keys', 'init']);
  const child = spawn(binary, ['serve'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((done) => child.once('exit', done));
  let log = '';
  child.stderr.on('data', (text) => (log += text));
  await new Promise((ready, failed) => {
    child.stdout.on('data', (text) => String(text).includes('firth listens on') && ready());
    child.once('exit', () => failed(new Error(`firth serve ended: ${log}`)));
  });
  const value = (printed, name) => printed.split('\n').find((line) => line.startsWith(`${name}=`)).slice(name.length + 1);
  return {
    url: `http://127.0.0.1:${port}`,
    verb,
    value,
    log: () => log,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Creates a resource and answers its id. */
export async function create(firth, token, resource) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/fhir+json' };
  const answer = await fetch(`${firth.url}/fhir/${resource.resourceType}`, { method: 'POST', headers, body: JSON.stringify(resource) });
  if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
  return (await answer.json()).id;
}
