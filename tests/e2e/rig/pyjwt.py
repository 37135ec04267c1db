# Verifies what the JSON on stdin has, {"verify": [jwt, ..], "jwks": {..}}, and prints the claims of each as a JSON list,
# or {"refused": jwt, "because": ".."} of the first that PyJWT does not take.
import json
import sys

import jwt

task = json.load(sys.stdin)
keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(task["jwks"]).keys}


def verify(token):
    header = jwt.get_unverified_header(token)
    key = keys[header["kid"]]
    unverified = jwt.decode(token, options={"verify_signature": False})
    return jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        audience=unverified.get("aud"),
        options={"require": ["iss", "iat", "exp", "jti"], "strict_aud": False},
    )


verified = []
for token in task["verify"]:
    try:
        verified.append(verify(token))
    except Exception as error:
        verified = {"refused": token, "because": repr(error)}
        break
print(json.dumps(verified))
