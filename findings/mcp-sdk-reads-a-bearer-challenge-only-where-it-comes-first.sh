#!/bin/sh
# @modelcontextprotocol/sdk 1.32.2 (npm), the client that MCP servers meet most. A 401 may offer several schemes, in one field or in
# several (RFC 9110 section 11.6.1), in any order. extractWWWAuthenticateParams looks at the first word of all of them: where that is
# not Bearer, `resource_metadata` and `scope` of the Bearer challenge are not seen, and the client falls back to the well-known path of
# the URL it called and to `scopes_supported`. Where Bearer comes first, it takes the `error` of the DPoP challenge behind for Bearer's.
# So a server that speaks both schemes (RFC 9449 section 7.1) has to put Bearer first if its metadata is anywhere but at that path.
# Seen:  Bearer, DPoP: resource_metadata and scope read    DPoP, Bearer: {}    in two fields, DPoP first: {}
#        Bearer, DPoP error="use_dpop_nonce": error use_dpop_nonce
# Run: sh mcp-sdk-reads-a-bearer-challenge-only-where-it-comes-first.sh   (exit 0: still so; 1: changed). Needs Node 20, npm.
set -e
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; trap 'exit 1' INT TERM
cd "$D"
echo '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --save-exact @modelcontextprotocol/sdk@1.32.2
cat >check.mjs <<'JS'
import { deepStrictEqual } from 'node:assert';
import { extractWWWAuthenticateParams } from '@modelcontextprotocol/sdk/client/auth.js';
const metadata = 'https://api.example/metadata';
const bearer = `Bearer resource_metadata="${metadata}", scope="read"`;
const dpop = 'DPoP algs="ES256"';
for (const [challenges, seen] of [
  [[`${bearer}, ${dpop}`], { resourceMetadataUrl: metadata, scope: 'read' }],
  [[bearer, dpop], { resourceMetadataUrl: metadata, scope: 'read' }],
  [[`${dpop}, ${bearer}`], {}],
  [[dpop, bearer], {}],
  [[`Bearer, ${dpop}, error="use_dpop_nonce"`], {}],
  [[`Bearer realm="api", ${dpop}, error="use_dpop_nonce"`], { error: 'use_dpop_nonce' }],
]) {
  const headers = new Headers();
  for (const challenge of challenges) headers.append('www-authenticate', challenge);
  const read = JSON.parse(JSON.stringify(extractWWWAuthenticateParams(new Response(null, { status: 401, headers }))));
  console.log(`${challenges.join(' | ')}\n  ${JSON.stringify(read)}`);
  deepStrictEqual(read, seen);
}
JS
node check.mjs || { echo "changed" >&2; exit 1; }
