// The demo's upstream: tells what reached it, and reads the access token as a service behind the gateway should
// (RFC 9068 §4), with the gateway's published keys.
import { createServer } from 'node:http';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const { UPSTREAM_PORT: port, ENVOY_PORT } = process.env;

const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${ENVOY_PORT}/.well-known/jwks.json`));
const expected = { issuer: 'https://gateway.example', audience: 'https://api.example', typ: 'at+jwt' };

async function claims(authorization) {
  const [, token] = /^Bearer (.*)$/.exec(authorization) ?? [];
  if (!token) return undefined;
  try {
    return (await jwtVerify(token, keys, expected)).payload;
  } catch (error) {
    return `not accepted: ${error.message}`;
  }
}

createServer({ keepAliveTimeout: 65_000 }, async (request, response) => {
  const { method, url: path, headers } = request;
  const echo = { method, path, headers, access_token_claims: await claims(headers.authorization) };
  response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(echo, null, 2)}\n`);
}).listen(port, '127.0.0.1');
