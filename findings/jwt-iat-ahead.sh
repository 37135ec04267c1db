#!/bin/sh
# A token whose `iat` is 5 seconds ahead: the Python libraries refuse it, the Node ones take it, each with its defaults.
# RFC 7519 section 4.1.6 names no token that is to be refused for its `iat` (only `nbf` is a "not before"). An issuer whose clock is a little ahead
# therefore works with one half of its upstreams and not with the other; `nbf` does not help, all four refuse one that is ahead.
# Seen: PyJWT 2.10.1 ImmatureSignatureError, joserfc 1.8.0 InvalidClaimError; jose 6.2.17 and jsonwebtoken 9.0.3 (npm) accept,
#   both even a whole day ahead.
# Run: sh jwt-iat-ahead.sh   (exit 0: still so; 1: changed). Needs Python 3.9, Node 20.
set -e
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; trap 'exit 1' INT TERM
cd "$D"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install PyJWT==2.10.1 joserfc==1.8.0
echo '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --save-exact jose@6.2.17 jsonwebtoken@9.0.3
cat >check.mjs <<'JS'
import { jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';
const key = Buffer.alloc(32, 'k');
for (const ahead of [300, 86400]) {
  const iat = Math.floor(Date.now() / 1000) + ahead;
  const token = jsonwebtoken.sign({ sub: 's', iat, exp: iat + 600 }, key);
  await jwtVerify(token, key);
  jsonwebtoken.verify(token, key, { algorithms: ['HS256'] });
  console.log(`jose 6.2.17, jsonwebtoken 9.0.3: iat ${ahead} s ahead: accepted`);
}
JS
cat >check.py <<'PY'
import time, jwt, joserfc.errors
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import OctKey
key = "k" * 32
def refused(ahead):
    now = int(time.time())
    token = jwt.encode({"sub": "s", "iat": now + ahead, "exp": now + 600}, key, algorithm="HS256")
    try: jwt.decode(token, key, algorithms=["HS256"]); py = "accepted"
    except jwt.ImmatureSignatureError as e: py = f"refused: {e}"
    try: joserfc_jwt.JWTClaimsRegistry().validate(joserfc_jwt.decode(token, OctKey.import_key(key)).claims); jr = "accepted"
    except joserfc.errors.InvalidClaimError as e: jr = f"refused: {e}"
    print(f"iat {ahead} s ahead: PyJWT {jwt.__version__} {py}; joserfc 1.8.0 {jr}")
    return [py[:7], jr[:7]]
assert refused(-5) == ["accepte"] * 2
assert refused(5) == ["refused"] * 2
PY
v/bin/python check.py
node check.mjs
echo "still so: iat ahead is refused by PyJWT and joserfc, accepted by jose and jsonwebtoken"
