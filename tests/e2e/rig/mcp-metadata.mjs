// Reads protected resource metadata as a client of the Model Context Protocol does, for each URL of the JSON on stdin: from the
// challenge on. All hosts are at the gateway's address. Prints the metadata that it accepted, or why it accepted none.
import { request } from 'node:http';
import { buffer, json } from 'node:stream/consumers';
import {
  discoverOAuthProtectedResourceMetadata, extractWWWAuthenticateParams, selectResourceURL,
} from '@modelcontextprotocol/sdk/client/auth.js';

const { gateway, resources } = await json(process.stdin);

/** What `fetch` would do if every name led to the gateway. */
function ask(url, { headers } = {}) {
  const { host, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const call = request(`http://${gateway}${pathname}${search}`, { headers: { ...headers, host } }, async (reply) => {
      resolve(new Response(await buffer(reply), { status: reply.statusCode, headers: reply.headers }));
    });
    call.on('error', reject).end();
  });
}

async function read(resource) {
  const { resourceMetadataUrl } = extractWWWAuthenticateParams(await ask(resource));
  const metadata = await discoverOAuthProtectedResourceMetadata(resource, { resourceMetadataUrl }, ask);
  const selected = await selectResourceURL(resource, {}, metadata);
  return { metadata, selected: selected.href };
}

const results = {};
for (const resource of resources) {
  results[resource] = await read(resource).catch((error) => ({ error: String(error) }));
}
console.log(JSON.stringify(results));
