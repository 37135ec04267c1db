// The packages that are compiled into the module, of which there are fewer than Cargo.lock has.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const run = (command, ...options) => execFileSync(command, options, { encoding: 'utf8', maxBuffer: 1 << 28 });

/** Licences, notices and statements of copyright. */
const LEGAL = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;

/**
 * What cargo says (`--message-format=json`) that it has built for the module, by name: our own package last. Macros and build
 * scripts are built for this machine, and are none of it.
 */
export function packagesOf(cargoSays) {
  const messages = cargoSays.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const isOfModule = ({ reason, filenames }) =>
    reason === 'compiler-artifact' && filenames.some((name) => name.includes('/wasm32-wasip1/'));
  const built = new Set(messages.filter(isOfModule).map(({ package_id: id }) => id));
  const metadata = JSON.parse(
    run('cargo', 'metadata', '--locked', '--format-version=1', '--filter-platform=wasm32-wasip1'),
  );
  const uses = new Map(metadata.resolve.nodes.map(({ id, dependencies }) => [id, dependencies]));
  const checksums = checksumsOf(readFileSync(join(metadata.workspace_root, 'Cargo.lock'), 'utf8'));
  const packages = metadata.packages.filter(({ id }) => built.has(id)).map((it) => ({
    id: it.id,
    name: it.name,
    version: it.version,
    // Until 2019, crates.io took a slash for `OR`.
    licence: it.license.replaceAll('/', ' OR '),
    repository: it.repository,
    isOurs: it.source === null,
    sha256: checksums.get(`${it.name} ${it.version}`),
    uses: uses.get(it.id).filter((id) => built.has(id)),
    texts: legalTexts(dirname(it.manifest_path)),
  }));
  const [ours, theirs] = [packages.filter(({ isOurs }) => isOurs), packages.filter(({ isOurs }) => !isOurs)];
  return [...theirs.sort((one, other) => (one.id < other.id ? -1 : 1)), ...ours];
}

/** The standard library of the module, which comes with the compiler. */
export function standardLibrary() {
  const [, version] = run('rustc', '--version').split(' ');
  const folder = join(run('rustc', '--print', 'sysroot').trim(), 'share', 'doc', 'rust');
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  const notices = files.map(({ name }) => name).find((name) => name === 'COPYRIGHT-library.html');
  return { version, notices: notices && readFileSync(join(folder, notices)) };
}

function legalTexts(folder) {
  const files = readdirSync(folder, { withFileTypes: true }).filter((it) => it.isFile() && LEGAL.test(it.name));
  return files.map(({ name }) => readFileSync(join(folder, name), 'utf8').trim());
}

/** SHA-256 of the packages' archives, by name and version. */
function checksumsOf(lock) {
  const entries = lock.matchAll(/^name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"$/gm);
  return new Map([...entries].map(([, name, version, checksum]) => [`${name} ${version}`, checksum]));
}
