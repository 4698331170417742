# The two commands of the README: `make run` and `make test`. Both install what is missing.

PYTHON ?= python3
BIN := .venv/bin
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)

.PHONY: run test check format install install-ocr schema lock bench prove-plans portraits-report documents-report bench-portraits clean soak-slow-sockets soak-hostile-files faults fuzz release-schema soak-issuer-events

run: install
	@$(BIN)/python -m compileall -q core gateway sandbox
	@exec $(BIN)/card-gateway serve --sandbox

test: install
	$(BIN)/pytest -n 2 --dist worksteal

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd web && npm run --silent check && npm run --silent test:documents
	$(BIN)/card-gateway schema | diff schema.graphql - || (echo "schema.graphql is out of date: make schema"; exit 1)
	$(BIN)/python -m tests.schema.schema_lint

bench: install
	$(BIN)/python -m bench.compare

# A hundred thousand generated operations, by compiled plans and by graphql-core.
prove-plans: install
	$(BIN)/python -m tests.compiled.prove

# 1,500 slow sockets against a server, while honest clients are served; and its control.
soak-slow-sockets: install
	$(BIN)/python -m tests.soak.slow_sockets
	$(BIN)/python -m tests.soak.slow_sockets --control

# Kills the server 500 times while its partners fail; then 200 power cuts (needs FUSE).
faults: install
	$(BIN)/python -m tests.soak.faults --rounds 500
	$(BIN)/python -m tests.soak.faults --rounds 200 --power-cut --fault-rate 0.1

# A million inputs for the request decoder, its control, and 5,000 examples of the schema.
fuzz: install .venv-fuzz/installed
	$(BIN)/python -m tests.soak.fuzz_decoder
	$(BIN)/python -m tests.soak.fuzz_decoder --control
	$(BIN)/python -m tests.soak.fuzz_schema

.venv-fuzz/installed: requirements-fuzz.lock
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# 100,000 events of the card issuer, in order once and shuffled with repeats.
soak-issuer-events: install
	$(BIN)/python -m tests.soak.issuer_events

# 10,000 hostile files as portraits and ID documents; and a control for each of its bounds.
soak-hostile-files: install
	$(BIN)/python -m tests.soak.hostile_files
	$(BIN)/python -m tests.soak.hostile_files --files 360 --control loop
	$(BIN)/python -m tests.soak.hostile_files --files 360 --control memory
	$(BIN)/python -m tests.soak.hostile_files --files 360 --control clean
	$(BIN)/python -m tests.soak.hostile_files --files 360 --control crash

# Five 12-megapixel portraits a second, and what becomes of `cardStatus` meanwhile.
bench-portraits: install
	$(BIN)/python -m bench.portraits

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: install
	$(BIN)/card-gateway schema > schema.graphql

# Front-ends are given this one; what breaks it from now on must be recorded.
release-schema: schema
	cp schema.graphql docs/schema/released.graphql

install: .venv/installed web/node_modules/.built

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the Python packages…"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Precision and recall of each check of a portrait, over drawn heads whose truth is known.
portraits-report: install
	$(BIN)/python -m tests.portraits.report --seed 1
	$(BIN)/python -m tests.portraits.report --seed 2

documents-report: install
	$(BIN)/python -m tests.id_documents.report

# Reads the fields of ID documents, to prefill the form: 130 MB more. Everything else works without.
install-ocr: .venv/installed-ocr

.venv/installed-ocr: .venv/installed requirements-ocr.lock
	@echo "Installing the packages that read ID documents…"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-ocr.lock
	@touch $@

web/node_modules/.built: $(WEB_SOURCES)
	@echo "Building the playground and the sandbox page…"
	@cd web && npm ci --silent --no-fund --no-audit && npm run --silent build
	@touch $@

# Needs `uv`; writes names, versions and hashes only. The extra `ocr` has a lock of its own, so that
# `make install` stays lean; both pin what they share alike.
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate

lock:
	$(LOCK) --extra dev --upgrade -o requirements.lock
	$(LOCK) --extra ocr -c requirements.lock --upgrade -o requirements-ocr.lock
	uv pip compile requirements-fuzz.in --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o requirements-fuzz.lock

clean:
	rm -rf .venv .venv-fuzz web/node_modules gateway/http/graphql/static sandbox/static var
