#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven: org.keycloak:keycloak-quarkus-dist): `htu` of a DPoP proof (RFC 9449 §4.2) is compared with the URL as the
# server was called, and not with the `token_endpoint` that its own metadata name.
#
# With `--hostname https://auth.example` behind a proxy that ends TLS, metadata, tokens and all other calls are right; a client that
# makes its proof for the token endpoint of the metadata gets no token. One for http, which nobody may call from outside, is taken.
# `--proxy-headers xforwarded` and `X-Forwarded-Proto` from the proxy change it.
#
# Seen on 2026-11-28, what the metadata name, and the answers to a proof for it and to one for the same with http:
#   alone: https://auth.example 400 DPoP HTTP URL mismatch; http 200
#   xforwarded: https://auth.example 200; http 400 DPoP HTTP URL mismatch
set -euo pipefail
directory=$(mktemp -d)
pid=
stop() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; pid=; }; }
trap 'stop; rm -rf "$directory"' EXIT
cd "$directory"
mvn -q -B dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -Dtransitive=false >/dev/null
mvn -q -B dependency:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -DoutputDirectory=. >/dev/null
unzip -q keycloak-quarkus-dist-26.7.3.zip
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
cat >client.mjs <<'JS'
import http from 'node:http';
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';

const [name, port] = process.argv.slice(2);
// What a proxy sends on that ends TLS.
const call = (method, path, type, body, more = {}) => new Promise((resolve, reject) => {
  const headers = { host: 'auth.example', 'x-forwarded-proto': 'https', 'content-type': type, ...more };
  http.request({ host: '127.0.0.1', port, method, path, headers }, async response => {
    let text = '';
    for await (const chunk of response) text += chunk;
    resolve({ status: response.statusCode, body: text && JSON.parse(text) });
  }).on('error', reject).end(body);
});
const form = 'application/x-www-form-urlencoded';
const token = '/realms/master/protocol/openid-connect/token';
const admin = await call('POST', token, form, 'grant_type=password&client_id=admin-cli&username=admin&password=admin');
const authorization = `Bearer ${admin.body.access_token}`;
const app = { clientId: 'app', secret: 's', serviceAccountsEnabled: true, attributes: { 'dpop.bound.access.tokens': 'true' } };
await call('POST', '/admin/realms', 'application/json', JSON.stringify({ realm: 'r', enabled: true, clients: [app] }), { authorization });
const metadata = await call('GET', '/realms/r/.well-known/openid-configuration', form);
const endpoint = new URL(metadata.body.token_endpoint);

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
async function ask(htu) {
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: keys.publicKey.export({ format: 'jwk' }) };
  const input = `${part(header)}.${part({ jti: randomUUID(), htm: 'POST', htu, iat: Math.floor(Date.now() / 1000) })}`;
  const signature = sign('sha256', Buffer.from(input), { key: keys.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  const { status, body } = await call('POST', endpoint.pathname, form, 'grant_type=client_credentials&client_id=app&client_secret=s',
    { dpop: `${input}.${signature}` });
  return status === 200 ? '200' : `${status} ${body.error_description}`;
}
console.log(`${name}: ${endpoint.origin} ${await ask(endpoint.href)}; http ${await ask(endpoint.href.replace('https:', 'http:'))}`);
JS
try_with() {
  local name=$1 port
  shift
  port=$(free_port)
  KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin keycloak-26.7.3/bin/kc.sh start-dev --db dev-mem \
    --hostname https://auth.example --http-host 127.0.0.1 --http-port "$port" --http-management-port "$(free_port)" "$@" >log 2>&1 &
  pid=$!
  for _ in $(seq 3000); do curl -sf -o /dev/null "http://127.0.0.1:$port/realms/master" && break; sleep 0.1; done
  node client.mjs "$name" "$port"
  stop
}
seen=$(try_with alone; try_with xforwarded --proxy-headers xforwarded)
echo "$seen"
[ "$seen" = 'alone: https://auth.example 400 DPoP HTTP URL mismatch; http 200
xforwarded: https://auth.example 200; http 400 DPoP HTTP URL mismatch' ]
