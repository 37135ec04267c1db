#!/usr/bin/env bash
# canaille 0.3.6 (PyPI), authlib 1.9.10: `exp` and `iat` of an introspection reply are numbers with a fraction. RFC 7662 §2.2 has
# both as "Integer timestamp", and readers go by that: a Go struct with `int64` refuses the whole reply.
#
# JWTs of the same server have integers. In a JWT a fraction would be allowed (RFC 7519 §2, NumericDate).
#
# Seen on 2026-11-28:
#   exp float, iat float
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
directory=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; [ -z "$pid" ] || wait "$pid" 2>/dev/null || true; rm -rf "$directory"' EXIT
python3 -m venv "$directory"
"$directory/bin/pip" install -q --disable-pip-version-check -r "$root/tests/servers/canaille/requirements.txt" >&2
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# a server with two clients; none of our filter
"$directory/bin/python" "$root/tests/servers/canaille/server.py" "$port" >"$directory/log" 2>&1 &
pid=$!
post() { curl -sf -H 'host: canaille.example' -u "$1" -d "$2" "http://127.0.0.1:$port/oauth/$3"; }
for _ in $(seq 300); do curl -sf -o /dev/null -H 'host: canaille.example' "http://127.0.0.1:$port/oauth/jwks.json" && break; sleep 0.1; done
token=$(post app:app-secret 'grant_type=client_credentials&scope=profile' token | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
seen=$(post gateway:gw-secret "token=$token" introspect | python3 -c '
import json, sys
reply = json.load(sys.stdin)
assert reply["active"] is True
print(", ".join(f"{name} {type(reply[name]).__name__}" for name in ["exp", "iat"]))')
echo "$seen"
[ "$seen" = 'exp float, iat float' ]
