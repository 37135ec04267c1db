#!/usr/bin/env bash
# glewlwyd 2.7.5 (Debian 12): the revocation of a refresh token (RFC 7009) leaves the access token that came with it active.
#
# RFC 7009 §2.1: where the server can revoke access tokens, and it can, it SHOULD also invalidate all access tokens of the same
# grant. So a client that revokes its refresh token when somebody leaves has to revoke each access token, too.
#
# Seen on 2026-11-28, `active` of the access token:
#   before: True; refresh token revoked: True; access token revoked: False
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/tests/e2e/rig/install-glewlwyd" >&2
directory=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; [ -z "$pid" ] || wait "$pid" 2>/dev/null || true; rm -rf "$directory"' EXIT
cd "$directory"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sqlite3 database </usr/share/dbconfig-common/data/glewlwyd/install/sqlite3
rig="$root/tests/e2e/rig" # a configuration with two clients and a user; none of our filter
sed "s|ADDRESS|127.0.0.1:$port|; s|PORT|$port|; s|DATABASE|$directory/database|" "$rig/glewlwyd.conf" >glewlwyd.conf
glewlwyd --config-file glewlwyd.conf >log 2>&1 &
pid=$!
for _ in $(seq 300); do curl -sf -o /dev/null "http://127.0.0.1:$port/config" && break; sleep 0.1; done
seen=$(python3 - "http://127.0.0.1:$port" "$root" <<'PY'
import base64, http.cookiejar, json, sys, urllib.parse, urllib.request
origin, root = sys.argv[1:]
setup = json.load(open(f"{root}/tests/e2e/rig/glewlwyd.json"))
key = lambda name: open(f"{root}/tests/keys/{name}").read()
setup["plugin"]["parameters"] |= {"iss": f"{origin}/api/oidc", "key": key("rsa2048.pem"), "cert": key("rsa2048.public.pem")}
admin = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

def administer(path, body):
    admin.open(urllib.request.Request(f"{origin}/api{path}", json.dumps(body).encode(), {"content-type": "application/json"})).read()

def post(path, **fields):
    basic = base64.b64encode(b"app:app-secret").decode()
    request = urllib.request.Request(f"{origin}/api/oidc{path}", urllib.parse.urlencode(fields).encode(), {"authorization": f"Basic {basic}"})
    text = urllib.request.urlopen(request).read()
    return json.loads(text) if text else None

administer("/auth/", {"username": "admin", "password": "password"})
for scope in setup["scopes"]:
    administer("/scope/", {"name": scope, "display_name": scope, "password_required": False})
administer("/mod/plugin/", setup["plugin"])
for client in setup["clients"]:
    administer("/client/", client)
administer("/user/", setup["user"])
tokens = post("/token", grant_type="password", username="alice", password="alice-pw1", scope="read")
is_active = lambda: post("/introspect", token=tokens["access_token"])["active"]
said = [f"before: {is_active()}"]
for name in ["refresh_token", "access_token"]:
    post("/revoke", token=tokens[name])
    said.append(f"{name.replace('_', ' ')} revoked: {is_active()}")
print("; ".join(said))
PY
)
echo "$seen"
[ "$seen" = 'before: True; refresh token revoked: True; access token revoked: False' ]
