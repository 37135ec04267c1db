// The demo's authorization server: oidc-provider, OpenID certified, everything in memory. It issues opaque tokens for the API
// behind Envoy to the client `app` (RFC 6749 §4.4), tells the client `gateway` what they mean (RFC 7662) and takes them back
// (RFC 7009). Ports and client secrets come from the environment, for one run each.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider, errors } from 'oidc-provider';

const { AUTHORIZATION_SERVER_PORT: port, ENVOY_PORT, APP_CLIENT_SECRET, GATEWAY_CLIENT_SECRET } = process.env;

const api = `http://127.0.0.1:${ENVOY_PORT}`; // `resource` in envoy.yaml
const machine = { redirect_uris: [], response_types: [] }; // no browser, no login
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { ...machine, client_id: 'app', client_secret: APP_CLIENT_SECRET, grant_types: ['client_credentials'], scope: 'read write' },
    { ...machine, client_id: 'gateway', client_secret: GATEWAY_CLIENT_SECRET, grant_types: [] },
  ],
  scopes: ['read', 'write'],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  jwks: { keys: [{ ...key, kid: 'demo', use: 'sig', alg: 'ES256' }] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: (_ctx, client) => client.clientId === 'gateway' },
    resourceIndicators: { // RFC 8707: a token is for the API whether its client says so or not
      enabled: true,
      defaultResource: () => api,
      getResourceServerInfo: (_ctx, resource) => {
        if (resource !== api) throw new errors.InvalidTarget();
        return { scope: 'read write', audience: api, accessTokenFormat: 'opaque', accessTokenTTL: 600 };
      },
    },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => client.clientId === token.clientId },
  },
  ttl: { ClientCredentials: 600 },
});
provider.on('server_error', (_ctx, error) => console.error(error));

// Connections are kept longer than Envoy keeps its own (`idle_timeout` in envoy.yaml): the client closes first.
createServer({ keepAliveTimeout: 65_000 }, provider.callback()).listen(port, '127.0.0.1');
