#!/usr/bin/env bash
# oidc-provider 9.13.3 (npm): introspection (RFC 7662) calls a refresh token active, and says no `token_type` of it.
#
# A resource server that looks at `active` and `token_type` alone takes a refresh token for an access token: what tells them
# apart is that the reply of an access token has `token_type`, and that of a refresh token has none.
#
# Seen on 2026-11-27, the names of the members:
#   access token: active client_id exp iat iss scope sub token_type
#   refresh token: active client_id exp iat iss scope sub
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
npm install --silent --no-audit --no-fund oidc-provider@9.13.3 >/dev/null
cat > run.mjs <<'JS'
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const redirect = 'https://app.example/cb';
const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(origin, {
  clients: [{
    client_id: 'app', client_secret: 'secret', redirect_uris: [redirect], grant_types: ['authorization_code', 'refresh_token'],
  }],
  pkce: { required: () => false },
  cookies: { keys: ['finding'] },
  findAccount: async (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  features: { devInteractions: { enabled: true }, introspection: { enabled: true } },
});
server.on('request', provider.callback());

const cookies = new Map();
async function page(url, fields) {
  const reply = await fetch(new URL(url, origin), {
    redirect: 'manual', method: fields ? 'POST' : 'GET', body: fields && new URLSearchParams(fields),
    headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
  });
  for (const cookie of reply.headers.getSetCookie()) cookies.set(...cookie.split(';')[0].split(/=(.*)/s).slice(0, 2));
  return { location: reply.headers.get('location'), html: await reply.text() };
}
let at = await page(`/auth?client_id=app&response_type=code&scope=openid offline_access&prompt=consent&redirect_uri=${redirect}`);
while (!at.location?.startsWith(redirect)) {
  at = at.location ? await page(at.location)
    : await page(at.html.match(/action="([^"]*)"/)[1], { prompt: at.html.match(/name="prompt" value="([^"]*)"/)[1], login: 'a', password: 'a' });
}
const post = async (path, fields) => (await fetch(origin + path, {
  method: 'POST', body: new URLSearchParams(fields), headers: { authorization: `Basic ${btoa('app:secret')}` },
})).json();
const code = new URL(at.location).searchParams.get('code');
const tokens = await post('/token', { grant_type: 'authorization_code', code, redirect_uri: redirect });
for (const name of ['access_token', 'refresh_token']) {
  const reply = await post('/token/introspection', { token: tokens[name] });
  console.log(`${name.replace('_', ' ')}: ${Object.keys(reply).sort().join(' ')}`, reply.active === true ? '' : 'INACTIVE');
}
process.exit();
JS
seen=$(node run.mjs 2>log | grep ' token: ' | sed 's/ *$//') || { cat log >&2; exit 1; }
echo "$seen"
[ "$seen" = 'access token: active client_id exp iat iss scope sub token_type
refresh token: active client_id exp iat iss scope sub' ]
