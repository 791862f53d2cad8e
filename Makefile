# Each target does its own set-up: a virtual environment in .venv, programs in .cache. A second start needs no network.

VENV := .venv
PY   := $(VENV)/bin/python
CODE := proxy tests $(wildcard bench)

# Only what stands on the command line counts: PORT, say, is often set in an environment for something else.
given = $(if $(filter command,$(origin $(1))),$($(1)))

# The version of Claude Code that the tests run: empty for the pinned one, `no` to leave those tests out.
CLIENT := $(or $(call given,CLIENT),$(HOOKGATE_CLIENT))
export HOOKGATE_CLIENT := $(CLIENT)
ifeq ($(CLIENT),no)
WITHOUT_CLIENT := and not e2e
endif

# Tests share servers by file; much of their time is waiting for processes, so that three keep two cores at work. Slow files come
# first (tests/slow.py), and not those with the most tests.
WORKERS := $(or $(call given,WORKERS),3)
SHARED_OUT := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Tests start Hookgate hundreds of times, and each start would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

DEV_OPTIONS = $(if $(call given,POLICIES),--policies "$(POLICIES)") $(if $(call given,PORT),--port "$(PORT)") \
	$(if $(call given,OBSERVE),--observe) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help run demo test lint format bench eval soak e2e prepare tools lock clean clean-cache venv cerbos client postgres chromium clickhouse no-client

help: ## Say what there is
	@echo "Hookgate puts a Cerbos policy decision in front of every tool call of Claude Code."
	@echo
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  Further options of the program behind a target: make TARGET ARGS='...'"

run: venv ## The PDP, Hookgate and policies/ on this machine [POLICIES=DIR PORT=N OBSERVE=1]
	@exec $(PY) -m hookgate dev $(DEV_OPTIONS)

demo: venv ## Post three recorded calls to what `make run` started
	@exec $(PY) -m hookgate demo $(ARGS)

test: prepare ## All tests but the long ones [CLIENT=VERSION, CLIENT=no, WORKERS=N]
	@exec $(PY) -m pytest $(SHARED_OUT) -m "not soak $(WITHOUT_CLIENT)" $(ARGS)

lint: venv ## Style, types, and which room may import which
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m mypy --strict $(CODE)
	$(VENV)/bin/lint-imports

format: venv ## Format the code, and mend what the linter can mend
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

bench: venv cerbos client ## Measure Hookgate beside the bare PDP [CLIENT=no]
	@exec $(PY) -m bench $(ARGS)

eval: venv cerbos ## How the shipped policies judge rows with a verdict [CORPUS=DIR]
	@exec $(PY) -m tests.policies.corpus "$(or $(call given,CORPUS),.)" $(ARGS)

soak: prepare ## The long form of the tests [CLIENT=no]
	@exec $(PY) -m pytest -m "soak $(WITHOUT_CLIENT)" $(ARGS)

e2e: $(if $(filter no,$(CLIENT)),no-client,prepare) ## The tests with the real Claude Code [CLIENT=VERSION]
	@exec $(PY) -m pytest -m "e2e and not soak" $(ARGS)

prepare: venv cerbos client postgres chromium ## Fetch all that the tests need, without running them

tools: venv ## Fetch the programs that check what deploy/ and helm/ hold: promtool, hadolint, kustomize, docker-compose, helm
	@PYTHONPATH=proxy:. $(PY) -m tests.support.fetched

lock: ## Write the lock files again, with uv [UPGRADE=1 takes newer versions]
	@UPGRADE="$(UPGRADE)" .ci/lock

clean: ## Remove what the tools made, but not what was fetched
	rm -rf $(VENV) .hookgate .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

clean-cache: ## Remove the fetched programs
	rm -rf .cache

venv:
	@PYTHON="$(PYTHON)" .ci/venv

cerbos: venv
	@$(PY) -m hookgate fetch cerbos >/dev/null

client: venv
ifeq ($(CLIENT),no)
	@echo "hookgate: CLIENT=no: the tests with the real Claude Code (tests/e2e) are left out"
else
	@$(PY) -m hookgate fetch claude $(if $(CLIENT),--version "$(CLIENT)") >/dev/null
endif

postgres: venv
	@$(PY) -m hookgate fetch postgres >/dev/null

chromium:
	@.ci/chromium

clickhouse: venv ## Fetch the ClickHouse engine that some tests run (180 MB)
	@PYTHONPATH=proxy:. $(PY) -m tests.support.clickhouse

no-client:
	@echo "hookgate: make e2e is the tests with the real client: CLIENT=no leaves nothing of it" >&2; exit 1
