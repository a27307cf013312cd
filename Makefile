# The one task file: what CI runs is `make test`.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help test setup fmt fmt-check lint tree unit e2e doc bench soak fuzz fuzz-smoke fuzz-lock deny install uninstall clean

# Where tests/setup.sh unpacks tools that it does not install.
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

# A test that prints something else than before fails, and writes nothing; to accept what is printed:
# INSTA_UPDATE=always cargo test --test it outputs
export INSTA_UPDATE ?= no

help: ## List the tasks
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
		while IFS='|' read -r name what; do printf '%-12s %s\n' "$$name" "$$what"; done

# Cheapest first. The documentation's tests run before the others, so that the output ends with the
# integration tests and the fuzz targets.
test: setup fmt-check tree lint doc unit fuzz-smoke ## Run everything that CI runs
	@cat target/tools/left-out

setup: ## Find the tools that tests need, and install missing ones
	@tests/setup.sh

fmt: ## Format the code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

fmt-check: ## Check the formatting
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

lint: ## Run Clippy on every target
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --test e2e -- -D warnings

# The same as a part of `make deny`, without cargo-deny.
tree: ## Check that the dependencies contain one TLS library and one crypto provider
	@mkdir -p target
	@cargo tree --locked --workspace --all-features --target all --edges normal,build,dev --prefix none \
		--format '{p}' >target/tree
	@! grep -E '^(openssl|openssl-sys|native-tls|aws-lc-rs|aws-lc-sys) ' target/tree
	@grep -q '^ring ' target/tree

unit: ## Run unit and integration tests
	cargo test --locked --workspace --lib --bins --tests

# Not part of `make test`, because this repository does not contain the control plane's programs.
e2e: setup ## Run berth in a real control plane: make e2e [ONLY=part-of-a-name] [CRDS=file with KubeVirt's CRDs]
	@tests/e2e/assets.sh
	BERTH_E2E_CRDS=$(CRDS) cargo test --locked --test e2e -- $(ONLY)

doc: ## Build the documentation, and test its examples and links
	cargo test --locked --workspace --doc
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps

# With CI=true, a missing compiler fails the build.
fuzz-smoke: ## Run every fuzz target for 10 seconds over its corpus
	@if command -v "$${CXX:-c++}" >/dev/null || [ "$$CI" = true ]; then fuzz/smoke.sh; \
	else echo "left out: the smoke of every fuzz target (no c++; install the Debian package g++)"; fi

bench: ## Run the benchmarks
	cargo bench --locked --bench answers
	cargo bench --locked --bench cluster
	cargo bench --locked --bench check
	cargo bench --locked --bench landing
	cargo bench --locked --features null-route --bench load

soak: setup ## Run everything at once and check every response: make soak SECS=600
	BERTH_SOAK_SECS=$(SECS) cargo test --locked --release --test soak

SECS ?= 600
fuzz: ## Run one fuzz target for longer, and add inputs to its corpus: make fuzz TARGET=mutate SECS=600
	fuzz/smoke.sh --seconds $(SECS) --grow $(TARGET)

# From berth's lock file, so that the fuzz targets use the versions that berth uses.
fuzz-lock: ## Update fuzz/Cargo.lock to the versions in Cargo.lock
	cp Cargo.lock fuzz/Cargo.lock
	cargo metadata --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null

CHECKS ?= advisories bans licenses sources
deny: ## Check advisories, licences and bans with cargo-deny
	@if command -v cargo-deny >/dev/null; then cargo deny check $(CHECKS); \
	else echo "no cargo-deny: cargo install cargo-deny --locked" >&2; exit 1; fi

PREFIX ?= /usr/local
# A program that is built already. Without it, `make install` builds one.
BERTH_BIN ?=
bindir = $(DESTDIR)$(PREFIX)/bin
sharedir = $(DESTDIR)$(PREFIX)/share
mandir = $(sharedir)/man/man1
bashdir = $(sharedir)/bash-completion/completions
zshdir = $(sharedir)/zsh/site-functions
fishdir = $(sharedir)/fish/vendor_completions.d

install: ## Install berth as a command and a kubectl plugin: make install PREFIX=$HOME/.local [BERTH_BIN=FILE]
ifeq ($(BERTH_BIN),)
	cargo build --locked --release --bin berth
endif
	install -d '$(bindir)' '$(mandir)' '$(bashdir)' '$(zshdir)' '$(fishdir)'
	install -m 755 '$(or $(BERTH_BIN),target/release/berth)' '$(bindir)/berth'
	ln -sf berth '$(bindir)/kubectl-berth'
	ln -sf berth '$(bindir)/kubectl_complete-berth'
	'$(bindir)/berth' completion bash >'$(bashdir)/berth'
	'$(bindir)/berth' completion zsh >'$(zshdir)/_berth'
	'$(bindir)/berth' completion fish >'$(fishdir)/berth.fish'
	'$(bindir)/berth' man '$(mandir)'
	ln -sf berth.1 '$(mandir)/kubectl-berth.1'

uninstall: ## Remove what `make install` installed, with the same PREFIX
	rm -f '$(bindir)/berth' '$(bindir)/kubectl-berth' '$(bindir)/kubectl_complete-berth'
	rm -f '$(bashdir)/berth' '$(zshdir)/_berth' '$(fishdir)/berth.fish'
	rm -f '$(mandir)/berth.1' '$(mandir)/kubectl-berth.1' '$(mandir)'/berth-*.1

clean: ## Remove everything that was built or unpacked here
	rm -rf target fuzz/target fuzz/artifacts
