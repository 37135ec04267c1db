"""canaille with the clients of `make servers`, all in memory, on the loopback port that is its argument."""
import sys
from datetime import UTC, datetime

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server


key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
app = create_app({
    "SECRET_KEY": "of this run",
    "SERVER_NAME": "canaille.example",
    "PREFERRED_URL_SCHEME": "https",
    "CANAILLE": {"DATABASE": "memory"},
    "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)], "REQUIRE_NONCE": False},
})


def client(name, secret, **more):
    made = models.Client(
        client_id=name, client_secret=secret, client_name=name, client_id_issued_at=datetime.now(UTC),
        redirect_uris=["https://app.example/cb"], response_types=["code"], scope=["openid", "profile"],
        token_endpoint_auth_method="client_secret_basic", **more)
    Backend.instance.save(made)
    return made


with app.app_context():
    gateway = client("gateway", "gw-secret")
    client("app", "app-secret", audience=[gateway], grant_types=["client_credentials", "password", "refresh_token"])
    Backend.instance.save(models.User(
        user_name="alice", family_name="Example", formatted_name="Alice Example", emails=["alice@example.com"], password="alice"))


class Quiet(WSGIRequestHandler):
    # A connection for each request is not what a server costs.
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass

    def make_environ(self):
        # As behind a proxy that ends TLS: it refuses to speak OAuth over anything else.
        return super().make_environ() | {"wsgi.url_scheme": "https"}


make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True, request_handler=Quiet).serve_forever()
