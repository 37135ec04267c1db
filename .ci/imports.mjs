// Usage: node .ci/imports.mjs MODULE.wasm [--bless]
// Holds the module's imports against the golden list: a new one is a new power of the filter, so someone should look at it,
// then --bless. The capabilities that envoy/envoy.yaml allows must be in the module.
import { readFileSync, writeFileSync } from 'node:fs';

const golden = new URL('../tests/vectors/imports.txt', import.meta.url);
const sample = new URL('../envoy/envoy.yaml', import.meta.url);
const [wasm, option] = process.argv.slice(2);

const module = await WebAssembly.compile(readFileSync(wasm));
const imports = WebAssembly.Module.imports(module).map(({ name }) => name).sort();
const exports = WebAssembly.Module.exports(module).map(({ name }) => name);

if (option === '--bless') writeFileSync(golden, `${imports.join('\n')}\n`);

const expected = readFileSync(golden, 'utf8').split('\n').filter(Boolean);
const allowed = [...readFileSync(sample, 'utf8').matchAll(/^ +(\w+): \{\}/gm)].map(([, name]) => name);
const without = (names, known) => names.filter((name) => !known.includes(name));
const problems = [
  ...without(imports, expected).map((name) => `new import: ${name}`),
  ...without(expected, imports).map((name) => `no longer imported: ${name}`),
  ...without(allowed, [...imports, ...exports]).map((name) => `allowed in envoy/envoy.yaml, but not in the module: ${name}`),
];
if (problems.length) {
  console.error([...problems, `if the imports are meant: node .ci/imports.mjs ${wasm} --bless`].join('\n'));
  process.exitCode = 1;
}
