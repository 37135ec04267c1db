// The software bill of materials of a release, as CycloneDX 1.6 in JSON. No time and no serial number, so that the same module has
// the same one.

/** The module with this SHA-256, made of these packages, our own last, by the Rust of this version. */
export function sbom(module, packages, rust) {
  const standardLibrary = {
    type: 'library',
    'bom-ref': `rust-std@${rust}`,
    name: 'rust-std',
    version: rust,
    description: 'The Rust standard library for wasm32-wasip1, and wasi-libc in it',
    licenses: [{ expression: 'Apache-2.0 OR MIT' }],
  };
  const components = packages.map(({ name, version, licence, repository, sha256 }) => ({
    type: 'library',
    'bom-ref': `pkg:cargo/${name}@${version}`,
    name,
    version,
    licenses: [{ expression: licence }],
    purl: `pkg:cargo/${name}@${version}`,
    ...(sha256 && { hashes: [{ alg: 'SHA-256', content: sha256 }] }),
    ...(repository && { externalReferences: [{ type: 'vcs', url: repository }] }),
  }));
  const references = new Map(packages.map(({ id }, index) => [id, components[index]['bom-ref']]));
  const ours = components.pop();
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: 'rustc', version: rust }] },
      component: { ...ours, type: 'application', hashes: [{ alg: 'SHA-256', content: module }] },
    },
    components: [...components, standardLibrary],
    dependencies: [
      ...packages.map(({ id, uses }) => ({
        ref: references.get(id),
        dependsOn: [...uses.map((used) => references.get(used)).sort(), standardLibrary['bom-ref']],
      })),
      { ref: standardLibrary['bom-ref'] },
    ],
  };
}
