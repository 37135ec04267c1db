// The third-party notices of a release: what the licences of the packages ask to be handed on with the module.

/** All packages with their licences, then each text once, with those that it is of. */
export function notices(packages) {
  const without = packages.filter(({ texts }) => !texts.length).map(({ name }) => name);
  if (without.length) throw new Error(`no licence text in the packages ${without.join(', ')}`);

  const texts = new Map();
  for (const { name, version, texts: its } of packages) {
    for (const text of its) texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}`]);
  }
  const list = packages.map(({ name, version, licence, repository }) =>
    [`${name} ${version}`, licence, repository].filter(Boolean).join(' · '));
  const rule = '-'.repeat(80);
  return [
    'Packages of others in phantom_token_filter.wasm, with their licences. rust-standard-library.html beside this file has those',
    'of the Rust standard library.',
    '',
    ...list,
    ...[...texts].flatMap(([text, names]) => ['', rule, names.join(', '), rule, '', text]),
    '',
  ].join('\n');
}
