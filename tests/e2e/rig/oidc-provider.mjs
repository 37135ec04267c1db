// A real authorization server on a free loopback port, which it prints. Ends when its stdin does. $OPTIONS (JSON) says what a
// test wants otherwise; PUT /options changes that while it runs: tokens and sessions stay, as on a server that is set up anew.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';

console.warn = () => {}; // It warns of Node's version, of its login pages and of its in-memory store; all will do here.
const { Provider } = await import('oidc-provider');
const { createMemoryAdapter } = await import('oidc-provider/lib/adapters/memory_adapter.js');

const options = {
  keys: [{ kid: 'as', alg: 'RS256' }], // all are published; the first of an algorithm signs
  gateway_jwk: null, // the key of the client `gw-pkjwt`
  back_channel_logout_uri: null, // of the client `web`
  ttl: 600, // of access tokens, in seconds
  ...JSON.parse(process.env.OPTIONS),
};
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const API = 'https://api.example';

function clients() {
  const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
  return [
    // asks for tokens
    { client_id: 'app', client_secret: 'app-secret', ...machine, scope: 'read write tools' },
    // its tokens are bound to its certificate (RFC 8705)
    {
      client_id: 'app-mtls', client_secret: 'app-mtls-secret', ...machine, scope: 'read write',
      tls_client_certificate_bound_access_tokens: true,
    },
    // gateways, which introspect them
    { client_id: 'gw-basic', client_secret: 'gw-secret', ...machine },
    { client_id: 'gw-post', client_secret: 'gw-secret', ...machine, token_endpoint_auth_method: 'client_secret_post' },
    // RFC 6749 §2.3.1: both must be form-encoded before they are joined and base64-encoded
    { client_id: 'gw weird:id', client_secret: 'p%ss w+rd:x', ...machine },
    ...(options.gateway_jwk ? [{
      client_id: 'gw-pkjwt', ...machine, token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: options.gateway_jwk.alg ?? 'ES256', jwks: { keys: [options.gateway_jwk] },
    }] : []),
    // people log in to it
    {
      client_id: 'web', client_secret: 'web-secret', grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['https://web.example/cb'], scope: 'openid offline_access read write',
      ...(options.back_channel_logout_uri && {
        backchannel_logout_uri: options.back_channel_logout_uri, backchannel_logout_session_required: true,
      }),
    },
  ];
}

const adapter = createMemoryAdapter(); // one for all changes of options

const configuration = () => ({
  adapter,
  clients: clients(),
  clientDefaults: {
    id_token_signed_response_alg: options.keys[0].alg,
    introspection_signed_response_alg: options.keys[0].alg, // where a gateway asks for a JWT
  },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  enabledJWA: { introspectionSigningAlgValues: ALGORITHMS, idTokenSigningAlgValues: ALGORITHMS },
  scopes: ['openid', 'offline_access', 'read', 'write', 'tools'],
  cookies: { keys: ['of this run'] },
  pkce: { required: () => false },
  fetch: (url, { dispatcher, ...rest }) => fetch(url, rest), // the logout's receiver is on loopback, which it would not call
  features: {
    devInteractions: { enabled: true }, // its own login pages: any name will do
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: async () => true },
    jwtIntrospection: { enabled: true }, // RFC 9701
    revocation: { enabled: true, allowedPolicy: async () => true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    dPoP: { enabled: true }, // RFC 9449, for clients that send a proof
    // RFC 8705; this server has no TLS, so the certificate comes in a header
    mTLS: {
      enabled: true, certificateBoundAccessTokens: true,
      getCertificate: ctx => (ctx.get('x-client-cert') ? decodeURIComponent(ctx.get('x-client-cert')) : undefined),
    },
    // `resource=https://api.example/ES256`: a JWT access token (RFC 9068) signed so; `resource=https://api.example`: an opaque
    // one with `aud`; without `resource`: an opaque one without
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'read write tools', accessTokenTTL: options.ttl,
        ...(resource.startsWith(`${API}/`)
          ? { audience: API, accessTokenFormat: 'jwt', jwt: { sign: { alg: resource.slice(`${API}/`.length) } } }
          : { audience: resource, accessTokenFormat: 'opaque' }),
      }),
    },
  },
  extraTokenClaims: async () => ({ tenant: 'acme', roles: ['reader', 'writer'] }),
  findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  ttl: { ClientCredentials: options.ttl, AccessToken: options.ttl, Session: 3600, Grant: 3600, IdToken: 600, RefreshToken: 3600, Interaction: 600 },
});

const made = new Map();
async function key({ kid, alg }) {
  if (!made.has(kid)) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    made.set(kid, { jwk: { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' }, privateKey });
  }
  return made.get(kid);
}

// `Accept: application/jwt`: a server that answers introspection with the JWT to forward. oidc-provider has no such answer.
async function answerWithJwt(ctx, next) {
  const isWanted = ctx.path === '/token/introspection' && /(^|,)\s*application\/jwt\b/.test(ctx.get('accept'));
  if (isWanted) ctx.req.headers.accept = 'application/json';
  await next();
  if (!isWanted || ctx.status !== 200) return;
  if (!ctx.body.active) {
    ctx.body = null;
    ctx.status = 204;
    return;
  }
  const { active, ...claims } = JSON.parse(JSON.stringify(ctx.body));
  const [{ kid, alg }] = options.keys;
  ctx.body = await new SignJWT({ sub: claims.client_id, aud: API, jti: randomUUID(), ...claims })
    .setProtectedHeader({ alg, kid, typ: 'at+jwt' })
    .sign((await key({ kid, alg })).privateKey);
  ctx.type = 'application/jwt';
}

let handle;
async function setUp() {
  const keys = await Promise.all(options.keys.map(key));
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, { ...configuration(), jwks: { keys: keys.map(({ jwk }) => jwk) } });
  provider.use(answerWithJwt);
  for (const failure of ['server_error', 'backchannel.error']) {
    provider.on(failure, (_ctx, error) => console.error(failure, error));
  }
  handle = provider.callback();
}

const server = createServer(async (request, response) => {
  if (request.url !== '/options') return handle(request, response);
  Object.assign(options, await json(request));
  await setUp();
  response.end();
});
server.listen(0, '127.0.0.1', async () => {
  await setUp();
  console.log(`127.0.0.1:${server.address().port}`);
});
process.stdin.on('end', () => process.exit()).resume();
