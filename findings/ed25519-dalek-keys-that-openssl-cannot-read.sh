#!/usr/bin/env bash
# ed25519-dalek 3.0.0 (crates.io), cryptography 46.0.3 (PyPI): `SigningKey::to_pkcs8_pem` writes PKCS#8 of version 2, with the public
# key beside the private one (RFC 5958 §2, RFC 8410 §7), and OpenSSL's side does not read it. The same key without its public half
# is of version 1, and is read.
#
# OpenSSL 3.0.19 and Node.js 20.20.2 refused and read the same two files. What a key generator in Rust writes as usual, services
# in Python, Node.js and C cannot load.
#
# Seen on 2026-11-28:
#   as-usual.pem refused
#   private-alone.pem read
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir "$directory/src"
cat >"$directory/Cargo.toml" <<'TOML'
[package]
name = "keys"
version = "0.0.0"
edition = "2021"

[dependencies]
ed25519-dalek = { version = "=3.0.0", features = ["pkcs8", "pem"] }
TOML
cat >"$directory/src/main.rs" <<'RUST'
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};

fn main() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let alone = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    std::fs::write("as-usual.pem", key.to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
    std::fs::write("private-alone.pem", alone.to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
}
RUST
(cd "$directory" && cargo run -q >&2)
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q --disable-pip-version-check cryptography==46.0.3 >&2
seen=$(cd "$directory" && venv/bin/python -c '
from cryptography.hazmat.primitives.serialization import load_pem_private_key
for name in ["as-usual.pem", "private-alone.pem"]:
    with open(name, "rb") as file:
        try:
            load_pem_private_key(file.read(), None)
            print(name, "read")
        except ValueError:
            print(name, "refused")')
echo "$seen"
[ "$seen" = $'as-usual.pem refused\nprivate-alone.pem read' ]
