// Usage: node .ci/inspect.mjs RELEASE
// Looks into a release: each package that the module itself names, where its code may panic, must be in the SBOM and in the notices
// of others; there is no way to a folder of the machine that built it; and what is digested has its digest.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);
const read = (...path) => readFileSync(join(folder, ...path));
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

const module = read('phantom_token_filter.wasm');
const text = module.toString('latin1');
const sbom = JSON.parse(read('sbom.cdx.json'));
const notices = read('third-party-notices.txt').toString();
const problems = [];

const sources = text.matchAll(/([a-z][a-z0-9_-]*)-(\d+\.\d+\.\d+[a-z0-9.+-]*)\/src\//g);
const named = new Set([...sources].map(([, name, version]) => `${name} ${version}`));
if (named.size < 10) problems.push(`the module names hardly any package: ${[...named]}`);
for (const name of named) {
  if (!sbom.components.some((it) => `${it.name} ${it.version}` === name)) problems.push(`not in the SBOM: ${name}`);
  if (!notices.includes(`\n${name} · `)) problems.push(`not in the notices: ${name}`);
}
const ways = text.matchAll(/(?<![\w.])\/(home|root|Users|tmp|work)\/[\w./-]*|\.cargo\/registry/g);
for (const [path] of ways) problems.push(`a path of this machine: ${path}`);
for (const digest of readdirSync(join(folder, 'oci', 'blobs', 'sha256'))) {
  if (sha256(read('oci', 'blobs', 'sha256', digest)) !== digest) problems.push(`not its digest: ${digest}`);
}
const digests = [read('phantom_token_filter.wasm.sha256').toString().split(' ')[0], sbom.metadata.component.hashes[0].content];
if (digests.some((digest) => digest !== sha256(module))) problems.push('the digest of another module');

if (problems.length) {
  console.error([...new Set(problems)].join('\n'));
  process.exitCode = 1;
} else {
  console.log(`${sbom.components.length} packages, of which the module names ${named.size}`);
}
