#!/usr/bin/env bash
# Spring Authorization Server 7.1.2 (Maven: spring-security-oauth2-authorization-server, with Spring Boot 4.1.2): introspection
# (RFC 7662) calls a refresh token active, with four members and nothing that says what it is: no token_type, no scope, no sub.
#
# Of an access token it says nine. So a resource server that looks at `active` alone takes a refresh token, and one that makes a
# `sub` out of `client_id` where there is none (as RFC 9068 §2.2 has it for a client's own token) takes a user's refresh token for
# a token of the client itself.
#
# Seen on 2026-11-27, the names of the members:
#   access token: active aud client_id exp iat iss jti nbf scope sub token_type
#   refresh token: active client_id exp iat
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
directory=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; [ -z "$pid" ] || wait "$pid" 2>/dev/null || true; rm -rf "$directory"' EXIT
cp -r "$root/tests/servers/spring/." "$directory" # a server with four clients and a user; none of our filter
cd "$directory"
mvn -q -B package >maven.log 2>&1 || { cat maven.log >&2; exit 1; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
java -jar target/server.jar --server.address=127.0.0.1 --server.port="$port" >server.log 2>&1 &
pid=$!
for _ in $(seq 600); do curl -sf -o /dev/null "http://127.0.0.1:$port/oauth2/jwks" && break; sleep 0.1; done
seen=$(python3 - "http://127.0.0.1:$port" <<'PY'
import base64, http.cookiejar, json, re, sys, urllib.error, urllib.parse, urllib.request
origin, redirect = sys.argv[1], "https://app.example/cb"

class Stop(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, fp, code, msg, headers, url):
        return None if url.startswith(redirect) else super().redirect_request(request, fp, code, msg, headers, url)

browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), Stop())
browser.addheaders = [("accept", "text/html")]
ask = urllib.parse.urlencode({"client_id": "app", "response_type": "code", "redirect_uri": redirect, "scope": "openid read"})
html = browser.open(f"{origin}/oauth2/authorize?{ask}").read().decode()
csrf = re.search(r'name="_csrf"[^>]*value="([^"]*)"', html).group(1)
login = urllib.parse.urlencode({"username": "alice", "password": "alice", "_csrf": csrf}).encode()
try:
    browser.open(f"{origin}/login", login)
    raise SystemExit("no code came")
except urllib.error.HTTPError as reply:
    code = urllib.parse.parse_qs(urllib.parse.urlparse(reply.headers["location"]).query)["code"][0]

def post(path, client, **fields):
    basic = base64.b64encode(client.encode()).decode()
    request = urllib.request.Request(origin + path, urllib.parse.urlencode(fields).encode(), {"authorization": f"Basic {basic}"})
    return json.load(urllib.request.urlopen(request))

tokens = post("/oauth2/token", "app:app-secret", grant_type="authorization_code", code=code, redirect_uri=redirect)
for name in ["access_token", "refresh_token"]:
    reply = post("/oauth2/introspect", "gateway:gw-secret", token=tokens[name])
    assert reply["active"] is True
    print(f"{name.replace('_', ' ')}: {' '.join(sorted(reply))}")
PY
)
echo "$seen"
[ "$seen" = 'access token: active aud client_id exp iat iss jti nbf scope sub token_type
refresh token: active client_id exp iat' ]
