# The one task file: what CI runs is `make test`.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help test setup fmt fmt-check lint tree unit e2e doc bench soak fuzz fuzz-smoke fuzz-lock deny clean

# Where tests/setup.sh puts what it does not install for the whole machine.
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

help: ## This list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
		while IFS='|' read -r name what; do printf '%-12s %s\n' "$$name" "$$what"; done

# Cheapest first. The documentation's tests stand before the others, so that a run closes on the
# integration tests' count and the fuzz targets.
test: setup fmt-check tree lint doc unit fuzz-smoke ## Everything CI checks
	@cat target/tools/left-out

setup: ## Find the outside tools that tests need; install the missing ones
	@tests/setup.sh

fmt: ## Format the code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

fmt-check: ## Fail on code that is not formatted
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

lint: ## Clippy on every target; a warning is an error
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test e2e -- -D warnings

# One TLS implementation and one crypto provider, without the tool that `make deny` needs.
tree: ## No openssl and no second crypto provider among the dependencies
	@mkdir -p target
	@cargo tree --locked --all-features --target all --edges normal,build,dev --prefix none \
		--format '{p}' >target/tree
	@! grep -E '^(openssl|openssl-sys|native-tls|aws-lc-rs|aws-lc-sys) ' target/tree
	@grep -q '^ring ' target/tree

unit: ## Unit and integration tests
	cargo test --locked --lib --bins --tests

# No part of `make test`: the control plane's programs are not brought by this repository.
e2e: setup ## berth in a real control plane: make e2e [ONLY=part-of-a-name] [CRDS=KubeVirt's own, a file]
	@tests/e2e/assets.sh
	BERTH_E2E_CRDS=$(CRDS) cargo test --locked --test e2e -- $(ONLY)

doc: ## The documentation's examples and links
	cargo test --locked --doc
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

# Where CI is true a missing compiler fails the build instead.
fuzz-smoke: ## Every fuzz target for 10 seconds over its committed corpus
	@if command -v "$${CXX:-c++}" >/dev/null || [ "$$CI" = true ]; then fuzz/smoke.sh; \
	else echo "left out: the smoke of every fuzz target (no c++; install the Debian package g++)"; fi

bench: ## What answers cost, without the network and with it, and what a live cluster costs
	cargo bench --locked --bench answers
	cargo bench --locked --bench cluster
	cargo bench --locked --features null-route --bench load

soak: setup ## Everything at once, and every answer checked: make soak SECS=600
	BERTH_SOAK_SECS=$(SECS) cargo test --locked --release --test soak

SECS ?= 600
fuzz: ## One fuzz target for longer: make fuzz TARGET=mutate SECS=600 (adds new inputs to the corpus)
	fuzz/smoke.sh --seconds $(SECS) --grow $(TARGET)

# From berth's own lock, so that what is fuzzed is what is shipped.
fuzz-lock: ## Bring fuzz/Cargo.lock to the versions in Cargo.lock
	cp Cargo.lock fuzz/Cargo.lock
	cargo metadata --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null

CHECKS ?= advisories bans licenses sources
deny: ## Advisories, licences and bans, with cargo-deny
	@if command -v cargo-deny >/dev/null; then cargo deny check $(CHECKS); \
	else echo "no cargo-deny: cargo install cargo-deny --locked" >&2; exit 1; fi

clean: ## Remove everything built, found or unpacked here
	rm -rf target fuzz/target fuzz/artifacts
