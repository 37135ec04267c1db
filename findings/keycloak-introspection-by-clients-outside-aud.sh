#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven: org.keycloak:keycloak-quarkus-dist): introspection (RFC 7662) answers {"active":false} to every client
# that is not in the token's `aud`, to the one that got the token, too; and by default no client is in it.
#
# A gateway with right credentials and good tokens sees "inactive" for all of them, and nothing in the reply says why. An audience
# mapper at the client that gets the tokens changes it. (26.4.0 told everybody.)
#
# Seen on 2026-11-27, `active` as told to:
#   without mapper: app False, gateway False
#   with mapper: app False, gateway True
set -euo pipefail
directory=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; [ -z "$pid" ] || wait "$pid" 2>/dev/null || true; rm -rf "$directory"' EXIT
cd "$directory"
mvn -q -B dependency:get -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -Dtransitive=false >/dev/null
mvn -q -B dependency:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:26.7.3:zip -DoutputDirectory=. >/dev/null
unzip -q keycloak-quarkus-dist-26.7.3.zip
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin keycloak-26.7.3/bin/kc.sh start-dev --db dev-mem \
  --http-host 127.0.0.1 --http-port "$port" --http-management-port "$(free_port)" >log 2>&1 &
pid=$!
for _ in $(seq 1200); do curl -sf -o /dev/null "http://127.0.0.1:$port/realms/master" && break; sleep 0.1; done
seen=$(python3 - "http://127.0.0.1:$port" <<'PY'
import base64, json, sys, urllib.parse, urllib.request
origin = sys.argv[1]

def post(path, fields, basic=None, bearer=None):
    body = json.dumps(fields) if bearer else urllib.parse.urlencode(fields)
    headers = {"content-type": "application/json" if bearer else "application/x-www-form-urlencoded"}
    if basic: headers["authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
    if bearer: headers["authorization"] = "Bearer " + bearer
    text = urllib.request.urlopen(urllib.request.Request(origin + path, body.encode(), headers)).read()
    return json.loads(text) if text else None

admin = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
mapper = {"name": "gateway", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
          "config": {"included.client.audience": "gateway", "access.token.claim": "true"}}
for realm, mappers in [("without", []), ("with", [mapper])]:
    bearer = post("/realms/master/protocol/openid-connect/token", admin)["access_token"]
    post("/admin/realms", {"realm": realm, "enabled": True, "clients": [
        {"clientId": "app", "secret": "s", "serviceAccountsEnabled": True, "protocolMappers": mappers},
        {"clientId": "gateway", "secret": "s"}]}, bearer=bearer)
    base = f"/realms/{realm}/protocol/openid-connect/token"
    token = post(base, {"grant_type": "client_credentials"}, basic="app:s")["access_token"]
    told = [f"{client} {post(base + '/introspect', {'token': token}, basic=client + ':s')['active']}" for client in ["app", "gateway"]]
    print(f"{realm} mapper: {', '.join(told)}")
PY
)
echo "$seen"
[ "$seen" = 'without mapper: app False, gateway False
with mapper: app False, gateway True' ]
