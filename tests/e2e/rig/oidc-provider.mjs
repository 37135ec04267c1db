// A real authorization server on a free loopback port, which it prints. Ends when its stdin does.
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';

console.warn = () => {}; // It warns of Node's version and of its in-memory store; both will do here.
const { Provider } = await import('oidc-provider');

const gatewayJwk = JSON.parse(process.env.GATEWAY_JWK);
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const clients = [
  // asks for tokens
  { client_id: 'app', client_secret: 'app-secret', ...machine, scope: 'read write' },
  // gateways, which introspect them
  { client_id: 'gw-basic', client_secret: 'gw-secret', ...machine },
  { client_id: 'gw-post', client_secret: 'gw-secret', ...machine, token_endpoint_auth_method: 'client_secret_post' },
  // RFC 6749 §2.3.1: both must be form-encoded before they are joined and base64-encoded
  { client_id: 'gw weird:id', client_secret: 'p%ss w+rd:x', ...machine },
];
if (gatewayJwk) {
  clients.push({
    client_id: 'gw-pkjwt', ...machine, token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [gatewayJwk] },
  });
}

const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const configuration = {
  clients,
  jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'as' }] },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  scopes: ['read', 'write'],
  cookies: { keys: ['of this run'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: async () => true },
    revocation: { enabled: true },
  },
  extraTokenClaims: async () => ({ tenant: 'acme', roles: ['reader', 'writer'] }),
  ttl: { ClientCredentials: 600 },
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, configuration);
  server.on('request', provider.callback());
  console.log(`127.0.0.1:${port}`);
});
process.stdin.on('end', () => process.exit()).resume();
