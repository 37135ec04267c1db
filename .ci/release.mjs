// Usage: cargo build ... --message-format=json | node .ci/release.mjs MODULE.wasm VERSION FOLDER RUST
// Makes FOLDER: the module, its SHA-256, its SBOM, third-party notices, and `oci`, an OCI image layout (image-spec 1.1) with one
// image, tagged VERSION. Its one layer has the module as plugin.wasm, the form of a Wasm image that Istio and Envoy Gateway both
// read. No time, user or machine goes in, so that the same module gives the same bytes. RUST is the version that releases are
// made by; another one is told of.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { notices } from './notices.mjs';
import { packagesOf, standardLibrary } from './packages.mjs';
import { sbom } from './sbom.mjs';

const [wasm, version, folder, rust] = process.argv.slice(2);
const module = readFileSync(wasm);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

rmSync(folder, { recursive: true, force: true });
const blobs = join(folder, 'oci', 'blobs', 'sha256');
mkdirSync(blobs, { recursive: true });

/** Writes a blob, and describes it. */
function blob(mediaType, bytes) {
  writeFileSync(join(blobs, sha256(bytes)), bytes);
  return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
}

/** An archive in ustar form (POSIX.1-1988) with one file. */
function tar(name, bytes) {
  const header = Buffer.alloc(512);
  const octal = (value, digits) => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o644, 7) + octal(0, 7) + octal(0, 7) + octal(bytes.length, 11) + octal(0, 11), 100);
  header.write('        0', 148); // the checksum counts as spaces; '0': a file
  header.write('ustar\x0000', 257);
  header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, bytes, Buffer.alloc(-bytes.length & 511), Buffer.alloc(1024)]);
}

const archive = tar('plugin.wasm', module);
const layer = blob('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(archive, { level: 9 }));
const config = blob('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify({
  architecture: 'wasm', os: 'wasi', config: {}, rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(archive)}`] },
})));
const image = blob('application/vnd.oci.image.manifest.v1+json', Buffer.from(JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  config,
  layers: [layer],
  annotations: {
    'org.opencontainers.image.title': 'phantom-token-filter',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': 'Apache-2.0',
  },
})));

const oci = (name, value) => writeFileSync(join(folder, 'oci', name), JSON.stringify(value));
oci('oci-layout', { imageLayoutVersion: '1.0.0' });
oci('index.json', {
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [{ ...image, annotations: { 'org.opencontainers.image.ref.name': version } }],
});
const packages = packagesOf(readFileSync(0, 'utf8'));
const theirs = packages.filter(({ isOurs }) => !isOurs);
const library = standardLibrary();
const file = (name, content) => writeFileSync(join(folder, name), content);
file(basename(wasm), module);
file(`${basename(wasm)}.sha256`, `${sha256(module)}  ${basename(wasm)}\n`);
file('sbom.cdx.json', `${JSON.stringify(sbom(sha256(module), packages, library.version), null, 2)}\n`);
file('third-party-notices.txt', notices(theirs));
if (library.notices) file('rust-standard-library.html', library.notices);

if (library.version !== rust) {
  console.error(`made by Rust ${library.version}: the bytes are not those of a release, which Rust ${rust} makes`);
} else if (!library.notices) {
  throw new Error('this Rust has no COPYRIGHT-library.html, the notices of its standard library');
}
console.log(`${folder}\n  module    sha256:${sha256(module)}\n  packages  ${theirs.length}\n  image     ${image.digest}`);
