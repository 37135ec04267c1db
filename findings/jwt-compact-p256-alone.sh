#!/bin/sh
# jwt-compact 0.8.0 (crates.io): with `p256` as its only feature it does not compile. Its JSON Web Key helpers `ensure_len` and
# `ensure_key_match` are there only with other features, but p256.rs calls them. 0.9.0-beta.1 compiles so.
# Seen: error[E0599]: no variant or associated item named `ensure_len` found for enum `JsonWebKey<'a>`
# Run: sh jwt-compact-p256-alone.sh   (exit 0: still so; 1: changed). Needs cargo.
set -e
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; trap 'exit 1' INT TERM
check() { # VERSION: one crate that depends on jwt-compact with the one feature
  mkdir -p "$D/$1/src"; : >"$D/$1/src/lib.rs"
  printf '[package]\nname = "alone"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\njwt-compact = { version = "=%s", default-features = false, features = ["p256"] }\n' \
    "$1" >"$D/$1/Cargo.toml"
  (cd "$D/$1" && CARGO_TARGET_DIR="$D/target" cargo check --quiet 2>"$D/$1/errors")
}
if check 0.8.0; then echo "changed: 0.8.0 compiles with p256 alone"; exit 1; fi
grep -m1 'error\[E0599\].*ensure_len' "$D/0.8.0/errors" || { cat "$D/0.8.0/errors"; echo "changed: it fails for another reason"; exit 1; }
check 0.9.0-beta.1 || { cat "$D/0.9.0-beta.1/errors"; echo "changed: 0.9.0-beta.1 does not compile either"; exit 1; }
echo "still so: jwt-compact 0.8.0 does not compile with p256 alone, 0.9.0-beta.1 does"
