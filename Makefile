# Everything that a user, a developer or a build machine runs. Settings for one call: make demo PORT=9000
PYTHON ?=
PORT :=
PYTEST_ARGS ?=
LOCK_ARGS ?=
MODULES ?=
SECONDS := 60
CASES := 520
SEEDS :=

BIN := .venv/bin
PRODUCT := .venv/.product
TOOLS := .venv/.tools
CLIENTS := .venv-clients/.clients
FUZZ := .venv-fuzz/.fuzz
API_FUZZ := .venv-api-fuzz/.api-fuzz
MUTANTS := .venv-mutants/.mutants
SUPPLY := .venv-supply/.supply
EXAMPLES := build/examples
SOURCES := src tests migrations examples

.DEFAULT_GOAL := help
.PHONY: help install demo up test check format openapi browser-test test-clients test-examples test-long budget-test memory-test limits-test mutants fuzz fuzz-parsers audit compose-test lock clean

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(TOOLS) ## .venv with the product and its developer tools

demo: $(PRODUCT) ## the whole platform on simulated exchanges; needs no internet once installed
	@MARKETDATA_DATA_DIR="$${MARKETDATA_DATA_DIR:-.marketdata-demo}" exec $(BIN)/marketdata up --demo $(if $(PORT),--port $(PORT))

up: $(PRODUCT) ## the whole platform on the real exchanges
	@exec $(BIN)/marketdata up $(if $(PORT),--port $(PORT))

test: $(TOOLS) ## run the tests, several at once; one by one with PYTEST_ARGS="-n 0"
	@exec $(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal $(PYTEST_ARGS)

check: $(TOOLS) ## format, lint, types, walls; changes nothing
	$(BIN)/black --check --quiet $(SOURCES)
	$(BIN)/isort --check --quiet $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TOOLS) ## mend what can be mended without thinking
	$(BIN)/isort --quiet $(SOURCES)
	$(BIN)/black --quiet $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

openapi: $(TOOLS) ## write docs/openapi.json and its examples anew, from what the product answers
	@exec $(BIN)/pytest -q -n 0 --renew tests/api/contract $(PYTEST_ARGS)

test-clients: $(TOOLS) $(CLIENTS) ## compare our API with ccxt and the exchanges' own clients, all on the simulator
	@exec $(BIN)/pytest -m clients tests/clients $(PYTEST_ARGS)

test-examples: $(TOOLS) ## build the example of a package that adds an exchange, and run its tests on the platform
	@rm -rf $(EXAMPLES)
	@cd examples/marketdata-kraken && $(CURDIR)/$(BIN)/hatchling build --target wheel --directory $(CURDIR)/$(EXAMPLES)
	@cd examples/marketdata-kraken && PYTHONPATH=$$(echo $(CURDIR)/$(EXAMPLES)/*.whl) exec $(CURDIR)/$(BIN)/pytest $(PYTEST_ARGS)

test-long: $(TOOLS) ## what is worth hours now and then: thousands of examples against the simulator's truth
	@exec $(BIN)/pytest -m long $(PYTEST_ARGS)

budget-test: $(TOOLS) ## twenty times the budget while processes die, and a hundred bans; half an hour
	@exec $(BIN)/pytest -m long -s -o faulthandler_timeout=0 tests/e2e/budget $(PYTEST_ARGS)

memory-test: $(TOOLS) ## kill syncers, race them, hand them bad listings, live through a year; an hour and a half
	@exec $(BIN)/pytest -m long -s -o faulthandler_timeout=0 tests/e2e/memory $(PYTEST_ARGS)

limits-test: $(TOOLS) ## clients' limits over four processes, greedy clients beside a modest one, the database away; half an hour
	@exec $(BIN)/pytest -m long -s -o faulthandler_timeout=0 tests/e2e/limits $(PYTEST_ARGS)

mutants: $(TOOLS) $(MUTANTS) ## plant faults and list those that the tests miss; an hour, less with MODULES="core/paging syncer/guard"
	@PYTHONPATH=src:$$(echo .venv-mutants/lib/python*/site-packages) exec $(BIN)/python -m tests.mutants $(MODULES)

fuzz: $(TOOLS) $(API_FUZZ) ## ask the running API 50,000 things that its OpenAPI document allows or not; less with CASES=100 SEEDS=1
	@exec $(BIN)/python -m tests.fuzz.front_door.run .venv-api-fuzz/bin/schemathesis $(CASES) $(SEEDS)

fuzz-parsers: $(TOOLS) $(FUZZ) ## feed the readers of exchanges' answers with damaged ones, each for SECONDS=60; on Linux
	@PYTHONPATH=src:$$(echo .venv-fuzz/lib/python*/site-packages) exec $(BIN)/python -m tests.fuzz.run $(SECONDS)

audit: $(TOOLS) $(SUPPLY) ## look for weaknesses in the code; write each image's bill of materials to build/sbom, hold it to its lock
	.venv-supply/bin/bandit --quiet --severity-level medium --recursive src migrations examples/marketdata-kraken/src
	@exec $(BIN)/pytest -m supply tests/supply $(PYTEST_ARGS)

browser-test: $(TOOLS) ## open the documentation pages in Chromium, get a token there and use it
	@exec $(BIN)/pytest -n 0 -m browser tests/browser $(PYTEST_ARGS)

compose-test: $(TOOLS) ## build and run the containers, ask them, break them, take them down
	@docker compose version > /dev/null || { echo "compose-test needs Docker with Compose 2"; exit 1; }
	@exec $(BIN)/pytest -m compose -s tests/compose $(PYTEST_ARGS)

lock: ## choose the newest versions that fit and write requirements/*.txt anew
	@scripts/lock "$${PYTHON:-$$(scripts/find-python)}" --upgrade $(LOCK_ARGS)

clean: ## remove what make made; data directories stay
	rm -rf .venv .venv-clients .venv-mutants .venv-fuzz .venv-api-fuzz .venv-supply .venv-lock build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

$(PRODUCT): requirements/all.txt requirements/build.txt pyproject.toml scripts/install
	@echo "Setting up .venv (a minute, once)"
	@scripts/install "$(PYTHON)" all build
	@touch $@

$(TOOLS): requirements/dev.txt $(PRODUCT)
	@echo "Adding the developer tools to .venv"
	@scripts/install "" dev
	@touch $@

$(CLIENTS): requirements/clients.txt | $(PRODUCT)
	@echo "Setting up .venv-clients (a minute, once)"
	@VENV=.venv-clients scripts/install $(BIN)/python clients
	@touch $@

$(FUZZ): requirements/fuzz.txt | $(PRODUCT)
	@echo "Setting up .venv-fuzz (a minute, once)"
	@VENV=.venv-fuzz scripts/install $(BIN)/python fuzz
	@touch $@

$(API_FUZZ): requirements/api-fuzz.txt | $(PRODUCT)
	@echo "Setting up .venv-api-fuzz (a minute, once)"
	@VENV=.venv-api-fuzz scripts/install $(BIN)/python api-fuzz
	@touch $@

$(MUTANTS): requirements/mutants.txt | $(PRODUCT)
	@echo "Setting up .venv-mutants (a minute, once)"
	@VENV=.venv-mutants scripts/install $(BIN)/python mutants
	@touch $@

$(SUPPLY): requirements/supply.txt | $(PRODUCT)
	@echo "Setting up .venv-supply (a minute, once)"
	@VENV=.venv-supply scripts/install $(BIN)/python supply
	@touch $@
