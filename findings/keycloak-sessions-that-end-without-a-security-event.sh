#!/usr/bin/env bash
# Keycloak 26.7.3 (Maven: org.keycloak:keycloak-quarkus-dist, feature ssf, experimental): of the ways in which a session ends, three send
# no `session-revoked` (CAEP 1.0 §3.1) to a stream that asks for it and for all subjects: an administrator who ends one session, and not
# all of a user; `logout-all` of a realm; and a sign-out at `end_session_endpoint` (OpenID Connect RP-Initiated Logout 1.0) without
# `post_logout_redirect_uri`, though with one it does.
#
# The tokens are at an end in all of them. Who validates JWTs by himself and relies on the stream goes on to take them until `exp`.
# Back-channel logout tells of the first and the third.
#
# Seen on 2026-11-28, whether the token is still active, and the events that the stream had, as their `sub_id.session.id`:
#   refresh token posted to end_session: False ['the session']
#   end_session with redirect: False ['the session']
#   end_session without redirect: False []
#   administrator, all of a user: False ['ALL']
#   administrator, one session: False []
#   administrator, logout-all: False []
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
KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD=admin keycloak-26.7.3/bin/kc.sh start-dev --db dev-mem --features ssf \
  --http-host 127.0.0.1 --http-port "$port" --http-management-port "$(free_port)" >log 2>&1 &
pid=$!
for _ in $(seq 1200); do curl -sf -o /dev/null "http://127.0.0.1:$port/realms/master" && break; sleep 0.1; done
seen=$(python3 - "http://127.0.0.1:$port" <<'PY'
import base64, html, json, re, sys, time, urllib.error, urllib.parse, urllib.request
origin = sys.argv[1]
protocol = "/realms/r/protocol/openid-connect"
redirect = "https://app.example/cb"

class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_): return None

class Browser:
    def __init__(self):
        self.cookies = {}
    def send(self, method, path, fields=None, bearer=None, basic=None, body=None):
        path = path.removeprefix(origin)
        data = urllib.parse.urlencode(fields).encode() if fields else json.dumps(body).encode() if body is not None else None
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None: headers["content-type"] = "application/json"
        if bearer: headers["authorization"] = "Bearer " + bearer
        if basic: headers["authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
        request = urllib.request.Request(origin + path, data, headers, method=method)
        try: reply = urllib.request.build_opener(NoRedirect).open(request)
        except urllib.error.HTTPError as error: reply = error
        for cookie in reply.headers.get_all("set-cookie") or []:
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        text = reply.read().decode()
        assert reply.status < 400, (path, reply.status, text)
        return reply.headers, text

def call(*arguments, **more):
    text = Browser().send(*arguments, **more)[1]
    return json.loads(text) if text else None

def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

def administer(method, path, body=None):
    fields = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
    bearer = call("POST", "/realms/master/protocol/openid-connect/token", fields)["access_token"]
    return call(method, "/admin/realms" + path, body=body, bearer=bearer)

mapper = {"name": "gateway", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
          "config": {"included.client.audience": "gateway", "access.token.claim": "true"}}
administer("POST", "", {"realm": "r", "enabled": True, "attributes": {"ssf.transmitterEnabled": "true"}, "clients": [
    {"clientId": "app", "secret": "s", "redirectUris": [redirect], "protocolMappers": [mapper],
     "attributes": {"post.logout.redirect.uris": "+"}},
    {"clientId": "gateway", "secret": "s"},
    {"clientId": "events", "secret": "s", "serviceAccountsEnabled": True,
     "attributes": {"ssf.enabled": "true", "ssf.defaultSubjects": "ALL"}}],
    "users": [{"username": "alice", "enabled": True, "email": "a@example.com", "firstName": "A", "lastName": "E",
               "credentials": [{"type": "password", "value": "alice"}]}]})
client = administer("GET", "/r/clients?clientId=events")[0]["id"]
for scope in administer("GET", "/r/client-scopes"):
    if scope["name"] in ("ssf.read", "ssf.manage"):
        administer("PUT", f"/r/clients/{client}/default-client-scopes/{scope['id']}", {})
def receive(path, body):
    bearer = call("POST", protocol + "/token", {"grant_type": "client_credentials"}, basic="events:s")["access_token"]
    return call("POST", path, body=body, bearer=bearer)

revoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
stream = receive("/realms/r/ssf/transmitter/streams",
                 {"delivery": {"method": "urn:ietf:rfc:8936"}, "events_requested": [revoked]})
poll = stream["delivery"]["endpoint_url"]
user = administer("GET", "/r/users?username=alice")[0]["id"]

def login(browser):
    ask = {"client_id": "app", "response_type": "code", "redirect_uri": redirect, "scope": "openid"}
    page = browser.send("GET", f"{protocol}/auth?" + urllib.parse.urlencode(ask))[1]
    action = html.unescape(re.search(r'action="([^"]+)"', page).group(1))
    location = browser.send("POST", action, {"username": "alice", "password": "alice"})[0]["location"]
    code = urllib.parse.parse_qs(urllib.parse.urlparse(location).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
    return call("POST", protocol + "/token", form, basic="app:s")

def end_session(browser, tokens, **more):
    ask = {"id_token_hint": tokens["id_token"], **more}
    browser.send("GET", f"{protocol}/logout?" + urllib.parse.urlencode(ask))

for way, end in [
    ("refresh token posted to end_session",
     lambda _, tokens: call("POST", protocol + "/logout", {"refresh_token": tokens["refresh_token"]}, basic="app:s")),
    ("end_session with redirect", lambda browser, tokens: end_session(browser, tokens, post_logout_redirect_uri=redirect)),
    ("end_session without redirect", end_session),
    ("administrator, all of a user", lambda *_: administer("POST", f"/r/users/{user}/logout")),
    ("administrator, one session", lambda _, tokens: administer("DELETE", f"/r/sessions/{claims(tokens['access_token'])['sid']}")),
    ("administrator, logout-all", lambda *_: administer("POST", "/r/logout-all")),
]:
    browser = Browser()
    tokens = login(browser)
    end(browser, tokens)
    active = call("POST", protocol + "/token/introspect", {"token": tokens["access_token"]}, basic="gateway:s")["active"]
    time.sleep(2)
    sets = receive(poll, {"returnImmediately": True})["sets"]
    receive(poll, {"returnImmediately": True, "maxEvents": 0, "ack": list(sets)})
    ids = [claims(token)["sub_id"]["session"]["id"] for token in sets.values()]
    sid = claims(tokens["access_token"])["sid"]
    print(f"{way}: {active} {['the session' if it == sid else it for it in ids]}")
PY
)
echo "$seen"
[ "$seen" = "refresh token posted to end_session: False ['the session']
end_session with redirect: False ['the session']
end_session without redirect: False []
administrator, all of a user: False ['ALL']
administrator, one session: False []
administrator, logout-all: False []" ]
