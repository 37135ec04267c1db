// `make run`: the authorization server, the upstream and Envoy with the filter, on loopback, until Ctrl-C or until one of
// them dies. The signing key and the client secrets are made here, for this run, and live in the environment only.
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Part, portIsFree } from './part.mjs';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));

// Each port can be moved, e.g. `make run ENVOY_PORT=8080`.
const usualPorts = { ENVOY_PORT: 10000, ENVOY_ADMIN_PORT: 9901, AUTHORIZATION_SERVER_PORT: 9000, UPSTREAM_PORT: 9001 };
const ports = Object.fromEntries(Object.entries(usualPorts).map(([name, usual]) => [name, process.env[name] || usual]));
const gateway = `http://127.0.0.1:${ports.ENVOY_PORT}`;
const authorizationServer = `http://127.0.0.1:${ports.AUTHORIZATION_SERVER_PORT}`;

const secret = () => randomBytes(24).toString('base64url');
const APP_CLIENT_SECRET = secret();
const GATEWAY_CLIENT_SECRET = secret();
const SIGNING_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });

const envoyOptions = [
  '--disable-hot-restart', // or each of several Envoys on one machine would need its own base id
  ...['--log-level', 'warning'],
  ...['--file-flush-interval-msec', '200'], // the access log as it comes
];

const parts = [];
const stopAsked = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve('asked to stop'));
});
const failure = await Promise.race([stopAsked.then(() => undefined), run().catch((error) => error.message)]);
for (const part of parts) part.live = false;
if (failure) console.error(`make run: ${failure}`);
await Promise.all(parts.map((part) => part.stop()));
process.exit(failure ? 1 : 0);

/** Starts everything and returns, with the reason, when something went wrong. */
async function run() {
  for (const [name, port] of Object.entries(ports)) {
    if (!(await portIsFree(port))) return `port ${port} is taken: free it, or choose another with ${name}=...`;
  }
  const notThere = await fetchEnvoy();
  if (notThere) return notThere;
  parts.push(
    new Part({
      name: 'authorization server',
      command: [process.execPath, 'envoy/demo/authorization-server.mjs'],
      env: { ...ports, APP_CLIENT_SECRET, GATEWAY_CLIENT_SECRET },
      url: `${authorizationServer}/jwks`,
    }),
    new Part({
      name: 'upstream',
      command: [process.execPath, 'envoy/demo/upstream.mjs'],
      env: ports,
      url: `http://127.0.0.1:${ports.UPSTREAM_PORT}/`,
    }),
    new Part({
      name: 'Envoy',
      command: [...envoyCommand(), ...envoyConfig(), ...envoyOptions],
      env: { GATEWAY_CLIENT_SECRET, SIGNING_KEY },
      url: `http://127.0.0.1:${ports.ENVOY_ADMIN_PORT}/ready`,
    }),
  );
  const someEnd = Promise.race(parts.map(async (part) => [`${part.name} ${await part.ended}`, ...part.lastLines].join('\n  ')));
  const ready = Promise.all(parts.map((part) => part.ready()));
  const early = await Promise.race([someEnd, ready.then(() => undefined)]);
  if (early) return early;
  console.log(instructions());
  for (const part of parts) part.live = true;
  return someEnd;
}

function envoyCommand() {
  return execFileSync('envoy/find-envoy', { encoding: 'utf8' }).trim().split(/\s+/);
}

/**
 * Asks Envoy for its version, which everybody may see: a launcher may have to fetch Envoy first, and is not to be ended
 * while it does, for it takes what is there then for the whole. Returns the reason when there is no Envoy.
 */
async function fetchEnvoy() {
  const command = [...envoyCommand(), '--version'];
  const asked = spawn(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = await once(asked, 'exit');
  return code === 0 ? undefined : `${command.join(' ')}: expected exit code 0, got ${code}`;
}

/** The sample configuration; where ports were moved, a copy that says so. In a file, or Envoy would show all of it where it is wrong. */
function envoyConfig() {
  const file = 'envoy/envoy.yaml';
  const moved = new Map(Object.entries(usualPorts).map(([name, usual]) => [String(usual), String(ports[name])]));
  const sample = readFileSync(file, 'utf8');
  const config = sample.replace(/(?<=port_value: |127\.0\.0\.1:)\d+/g, (port) => moved.get(port) ?? port);
  if (config === sample) return ['--config-path', file];
  const directory = mkdtempSync(join(tmpdir(), 'phantom-token-filter-'));
  process.on('exit', () => rmSync(directory, { recursive: true }));
  const copy = join(directory, 'envoy.yaml');
  writeFileSync(copy, config);
  return ['--config-path', copy];
}

function instructions() {
  const app = `-u app:${APP_CLIENT_SECRET}`;
  const call = `-H "Authorization: Bearer $TOKEN" ${gateway}/accounts`;
  return `
${parts.map((part) => `${part.name}: ${new URL(part.url).origin}, pid ${part.process.pid}`).join('\n')}

Ready. Copy these lines into another terminal; Ctrl-C here stops everything.

1. Get an opaque access token:
TOKEN=$(curl -sS ${app} -d grant_type=client_credentials -d 'scope=read write' ${authorizationServer}/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')

2. Call the API through Envoy. The upstream shows what reached it: a signed JWT in place of the token:
curl -sS ${call}

3. Revoke the token and call again: 401, once the remembered verdict is older than cache_ttl, 5 s here:
curl -sS ${app} -d "token=$TOKEN" ${authorizationServer}/token/revocation && sleep 5 && curl -sSi ${call}

(Under /payments, where cache_ttl is 0s, a revoked token is refused at once; /healthz needs none. A client that has no token
learns where to get one: curl -sSi ${gateway}/accounts names ${gateway}/.well-known/oauth-protected-resource)
`;
}
