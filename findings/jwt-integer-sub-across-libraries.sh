#!/usr/bin/env bash
# PyJWT 2.10.1 (PyPI) refuses a JWT whose `sub` is a number; PyJWT 2.9.0, jose 6.2.17 (npm) take it.
#
# RFC 7519 §4.1.2 wants a string. But servers that answer introspection (RFC 7662) with `"sub": 42` exist, and whoever copies
# that into a JWT makes one that half of the services behind refuse. Write it as text.
#
# Seen on 2026-11-27:
#   PyJWT 2.9.0: sub 42
#   PyJWT 2.10.1: InvalidSubjectError
#   jose 6.2.17: sub 42
set -euo pipefail
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
python3 -m venv venv
key=0123456789abcdef0123456789abcdef
decode() { # with a version of PyJWT
  venv/bin/pip install --quiet --disable-pip-version-check "pyjwt==$1"
  venv/bin/python - "$1" "$key" "$(cat jwt)" <<'PY'
import sys, jwt
version, key, token = sys.argv[1:]
try:
    print(f"PyJWT {version}: sub {jwt.decode(token, key, algorithms=['HS256'])['sub']}")
except jwt.PyJWTError as error:
    print(f"PyJWT {version}: {type(error).__name__}")
PY
}
npm install --silent --no-audit --no-fund jose@6.2.17 >/dev/null
cat > sign.mjs <<'JS'
import { SignJWT, jwtVerify } from 'jose';
const key = new TextEncoder().encode(process.argv[2]);
const jwt = await new SignJWT({ sub: 42 }).setProtectedHeader({ alg: 'HS256' }).sign(key);
const { payload } = await jwtVerify(jwt, key);
console.log(jwt);
console.error(`jose 6.2.17: sub ${payload.sub}`);
JS
node sign.mjs "$key" >jwt 2>jose
seen=$(decode 2.9.0; decode 2.10.1; cat jose)
echo "$seen"
[ "$seen" = 'PyJWT 2.9.0: sub 42
PyJWT 2.10.1: InvalidSubjectError
jose 6.2.17: sub 42' ]
