#!/usr/bin/env bash
# jwt-compact 0.8.0 (crates): with `default-features = false, features = ["p256"]`, which its documentation offers for ES256, it
# does not compile: E0599, no method `ensure_curve`. With another feature besides that has the method (`es256k`) it does.
# 0.9.0-beta.1 compiles with `p256` alone.
#
# Seen on 2026-11-27 with Rust 1.95:
#   0.8.0 p256: E0599
#   0.8.0 p256,es256k: compiles
#   0.9.0-beta.1 p256: compiles
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
export CARGO_TARGET_DIR=$directory/target
try() { # a version, with features
  rm -rf crate && cargo init --quiet --lib --vcs none --name finding crate
  echo "jwt-compact = { version = \"=$1\", default-features = false, features = [$2] }" >>crate/Cargo.toml
  if (cd crate && cargo check --quiet >../log 2>&1); then echo compiles; else grep -o 'E[0-9]\{4\}' log | sort -u | head -1; fi
}
seen="0.8.0 p256: $(try 0.8.0 '"p256"')
0.8.0 p256,es256k: $(try 0.8.0 '"p256", "es256k"')
0.9.0-beta.1 p256: $(try 0.9.0-beta.1 '"p256"')"
echo "$seen"
[ "$seen" = '0.8.0 p256: E0599
0.8.0 p256,es256k: compiles
0.9.0-beta.1 p256: compiles' ]
