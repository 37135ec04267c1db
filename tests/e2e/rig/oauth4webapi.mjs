// A DPoP client of another hand: it gets tokens from the authorization server and calls the API with them, as `oauth4webapi` does
// it. The task is in stdin (JSON): issuer, client, secret, resource, algorithm, gateway (where Envoy is), requests. What the API
// said to each, and what had been sent, is printed.
import * as oauth from 'oauth4webapi';
import { json } from 'node:stream/consumers';

const { issuer, client: client_id, secret, parameters, algorithm, gateway, requests } = await json(process.stdin);
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id };
const keys = await oauth.generateKeyPair(algorithm);
const DPoP = oauth.DPoP(client, keys);

const as = { issuer, token_endpoint: `${issuer}/token` };
const granted = await oauth.clientCredentialsGrantRequest(
  as, client, oauth.ClientSecretBasic(secret), new URLSearchParams(parameters), { DPoP, ...insecure });
const { access_token: token, token_type } = await oauth.processClientCredentialsResponse(as, client, granted);

// The client knows the API by its name; Envoy is somewhere else.
const sent = [];
const customFetch = async (url, options) => {
  const there = new URL(url);
  const headers = Object.fromEntries(new Headers(options.headers));
  sent.push({ method: options.method, path: there.pathname + there.search, headers });
  return fetch(new URL(there.pathname + there.search, gateway), options);
};
const seen = async response => ({
  status: response.status, body: await response.text(), nonce: response.headers.get('dpop-nonce'),
  challenge: response.headers.get('www-authenticate'),
});

const answers = [];
for (const { method, url } of requests) {
  const call = () => oauth.protectedResourceRequest(
    token, method, new URL(url), new Headers(), null, { DPoP, [oauth.customFetch]: customFetch, ...insecure });
  let retried = false;
  const response = await call().catch(error => {
    if (oauth.isDPoPNonceError(error)) {
      retried = true;
      return call();
    }
    if (error.response) return error.response;
    throw error;
  });
  answers.push({ ...await seen(response), retried });
}
console.log(JSON.stringify({ token, token_type, answers, sent }));
