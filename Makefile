# Belay: build, try, check, test, package. Everything is made below .belay/ and target/ of this tree.

MAJORS  := 15 16 17 18
NEWEST  := 18
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

# PG=n picks one major; without it `test`, `check` and `package` take all of them and the rest the newest.
PG ?=
ifneq ($(PG),)
ifeq ($(filter $(PG),$(MAJORS)),)
$(error PG=$(PG) is not a supported major version; one of: $(MAJORS))
endif
endif
CHOSEN := $(or $(PG),$(MAJORS))
ONE    := $(or $(PG),$(NEWEST))

# dev compiles in half the time; what is installed for use, measured or packaged is built with release.
PROFILE ?= dev
SOURCES := $(shell find src core/src) Cargo.toml core/Cargo.toml Cargo.lock .cargo/config.toml
SCRIPTS := pg_belay.control $(wildcard sql/*.sql)

# Cargo.lock is what CI builds from; a developer who adds a dependency gets it updated.
LOCKED := $(if $(filter true,$(CI)),--locked)

export CARGO_TERM_COLOR ?= auto
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
# Cargo locks its directory anyway, and two majors must not take turns with its one libpg_belay.so.
.NOTPARALLEL:

.PHONY: help
help: ## show this list
	@printf 'Belay $(VERSION)\n\n'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22
	@printf '\nPG=15, 16, 17 or 18 picks one PostgreSQL major, as in: make test PG=17\n'

.PHONY: setup
setup: ## fetch servers, libclang and the test environment into .belay/ (the other targets do it by themselves)
	@tools/setup --tests $(CHOSEN)

# ── building ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# All majors share target/, and with it every dependency that does not depend on the major. Cargo keeps one libpg_belay.so
# there, so each is copied aside.
library = target/belay/pg$(1)-$(PROFILE)/pg_belay.so
cargo_output := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/libpg_belay.so

define rules_of_major
$(call library,$(1)): $(SOURCES)
	@tools/setup $(1)
	cargo build $(LOCKED) --lib --profile $(PROFILE) --no-default-features --features pg$(1)
	@mkdir -p $$(@D)
	@cp -f $(cargo_output) $$@

.PHONY: install-$(1)
install-$(1): $(call library,$(1)) $(SCRIPTS)
	@tools/setup $(1)
	@tools/install $(call library,$(1)) .belay/pg/$(1)/bin/pg_config
endef
$(foreach major,$(MAJORS),$(eval $(call rules_of_major,$(major))))

.PHONY: build
build: $(call library,$(ONE)) ## build the extension (PG=18, PROFILE=dev)

.PHONY: install
ifdef PG_CONFIG
install: ## install into .belay/pg/18, or with PG_CONFIG=/path/to/pg_config into that server
	@tools/setup
	@tools/install --build $(PG_CONFIG)
else
install: install-$(ONE)
endif

.PHONY: cli
cli: ## build target/release/belay, which checks a branch without a database
	@tools/setup
	cargo build $(LOCKED) --release --package belay-cli

# ── trying ───────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: demo
demo: install-$(ONE) ## start a scratch server and show Belay at work
	@tools/demo $(ONE)

.PHONY: demo-stop
demo-stop: ## stop the demo's server and remove its data
	@tools/server remove $(ONE) demo

.PHONY: psql
psql: ## open psql on the demo's database
	@tools/server psql $(ONE) demo belay_demo

# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: check
check: ## formatting, clippy and rustdoc without a warning, on every major
	@tools/setup $(CHOSEN)
	cargo fmt --all --check
	@set -e; for major in $(CHOSEN); do \
	    echo "clippy and rustdoc for PostgreSQL $$major"; \
	    cargo clippy $(LOCKED) --quiet --workspace --all-targets --no-default-features --features pg$$major -- -D warnings; \
	    RUSTDOCFLAGS='-D warnings' cargo doc $(LOCKED) --quiet --workspace --no-deps --document-private-items \
	        --no-default-features --features pg$$major; \
	done

.PHONY: test
test: test-core $(CHOSEN:%=test-%) ## the whole suite on every major (PG=18: on one)

.PHONY: test-core
test-core: ## the tests that need no server
	@tools/setup
	cargo test $(LOCKED) --package belay-core --package belay-cli

.PHONY: $(MAJORS:%=test-%)
$(MAJORS:%=test-%): test-%: install-%
	@tools/setup --tests $*
	@echo "pytest on PostgreSQL $*"
	@BELAY_PG=$* .belay/venv/bin/python -m pytest pg_test $(PYTEST)

# The seed is printed; SEED=n repeats it, and a draw that failed says how to repeat it alone.
DRAWS ?= 500
PAIRS ?= 2000
WALKS ?= 10000
SEED  := $(or $(SEED),$(shell date +%s))
.PHONY: soak
soak: install-$(ONE) ## random faults, random pairs in both orders, random walks over column changes (PG=18 DRAWS=500 PAIRS=2000 WALKS=10000 SEED=1)
	@tools/setup --tests $(ONE)
	@echo "$(DRAWS) draws on PostgreSQL $(ONE): make soak PG=$(ONE) DRAWS=$(DRAWS) PAIRS=$(PAIRS) WALKS=$(WALKS) SEED=$(SEED)"
	@BELAY_PG=$(ONE) BELAY_SOAK_DRAWS=$(DRAWS) BELAY_SOAK_SEED=$(SEED) \
	    .belay/venv/bin/python -m pytest pg_test/test_random_faults.py $(PYTEST)
	@BELAY_PG=$(ONE) BELAY_SOAK_DRAWS=$(PAIRS) BELAY_SOAK_SEED=$(SEED) \
	    .belay/venv/bin/python -m pytest pg_test/test_footprint_draws.py -k order $(PYTEST)
	@BELAY_PG=$(ONE) BELAY_SOAK_DRAWS=$(WALKS) BELAY_SOAK_SEED=$(SEED) \
	    .belay/venv/bin/python -m pytest pg_test/test_column_changes.py -k walks $(PYTEST)

.PHONY: bench
bench: ## measure the speed (PG=18), in a release build
	@$(MAKE) --no-print-directory install-$(ONE) PROFILE=release
	@python3 bench/run.py $(ONE) $(BENCH)

# ── shipping ─────────────────────────────────────────────────────────────────────────────────────────────────────────

cli_archive = target/package/belay-$(VERSION)-$(shell uname -m).tar.gz

.PHONY: package
package: ## make archives for servers without Rust, and of the binary, in target/package/ (PG=18: one)
	@set -e; for major in $(CHOSEN); do \
	    $(MAKE) --no-print-directory PROFILE=release target/belay/pg$$major-release/pg_belay.so; \
	    tools/package $$major $(VERSION) target/belay/pg$$major-release/pg_belay.so; \
	done
	@$(MAKE) --no-print-directory cli
	@tar --owner=0 --group=0 -czf $(cli_archive) LICENSE -C target/release belay
	@echo $(cli_archive)

.PHONY: clean
clean: ## remove what was built (target/); servers and downloads in .belay/ stay
	rm -rf target
