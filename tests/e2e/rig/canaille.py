"""canaille on a free port with TLS, for one host alone; says an access token of the client `app`, and where it listens.

OPTIONS: host, cert and key (files).
"""

import datetime
import json
import logging
import os

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

# A line for each request would hide what goes wrong.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
options = json.loads(os.environ["OPTIONS"])
app = create_app(
    config={
        "SECRET_KEY": "a secret of this test",
        "SERVER_NAME": options["host"],
        "PREFERRED_URL_SCHEME": "https",
        "CANAILLE": {"DATABASE": "memory"},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [RSAKey.generate_key(2048).as_dict(private=True)]},
    }
)


def client(name, audience):
    added = models.Client(
        client_id=name,
        client_secret=f"{name}-secret",
        client_name=name,
        client_id_issued_at=datetime.datetime.now(datetime.timezone.utc),
        redirect_uris=["https://app.example/cb"],
        grant_types=["client_credentials"],
        scope=["read"],
        token_endpoint_auth_method="client_secret_basic",
    )
    Backend.instance.save(added)
    # canaille tells only a client that is in a token's audience.
    added.audience = audience or [added]
    Backend.instance.save(added)
    return added


with app.app_context(), Backend.instance.session():
    gateway = client("gateway", [])
    client("app", [gateway])

asking = app.test_client().post(
    "/oauth/token",
    base_url=f"https://{options['host']}",
    auth=("app", "app-secret"),
    data={"grant_type": "client_credentials", "scope": "read"},
)
print(asking.get_json()["access_token"], flush=True)

server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=(options["cert"], options["key"]))
print(f"127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
