# Needs Python 3.11 or later, and a package index; `make PYTHON=python3.13 test` picks one.
PYTHON ?= python3
BIN := .venv/bin
# Is .venv what was made? It may have been moved, and its Python may have gone, or be another one now.
MADE := import os, sys; print(sys.version_info[:2], os.path.realpath(sys.prefix))
WORKS := $(shell $(BIN)/python -c '$(MADE)' 2>/dev/null | cmp -s - .venv/.made 2>/dev/null && echo yes)
ASKED := $(shell awk '/^\[/ {asks = !/^\[+tool/ || /^\[+tool\.uv/} asks' pyproject.toml | cksum | cut -d ' ' -f 1)
CHECK := import json, sys; oldest = json.load(open("cookiecutter.json"))["_conventions"]["pythons"][0]; \
  sys.exit(sys.version_info < tuple(map(int, oldest.split("."))) and \
  f"Python {oldest} or later is needed: rm -rf .venv; make PYTHON=python{oldest}")

COMMANDS := new-project resource idempotency retries rollout telemetry examples test test-all test-life test-faults test-cluster test-mutations benchmark benchmark-growth benchmark-workers benchmark-bake picture check hooks
.PHONY: $(COMMANDS)
ifneq ($(filter-out $(COMMANDS) .venv/%,$(MAKECMDGOALS)),)
$(error $(filter-out $(COMMANDS),$(MAKECMDGOALS)): there is no such command; an answer is NAME=VALUE: database=postgresql)
endif

# The answers: what stands on the command line, as it was typed, quoted for a shell. They are not taken from MAKEFLAGS,
# of which make 3.81, the one that macOS has, and make 4 have each a form of their own.
define newline


endef
ANSWERS = $(foreach answer,$(sort $(filter-out PYTHON,$(.VARIABLES))),$(if $(findstring command line,$(origin $(answer))),\
  $(if $(findstring $(newline),$(value $(answer))),$(error $(answer): take the newline out))'$(subst ','\'',$(answer)=$(value $(answer)))'))

new-project: .venv/.new-project  ## generate a project; answers may be given: database=postgresql engine=sync
	@$(BIN)/python new_project.py $(ANSWERS)

resource: .venv/.new-project  ## add a resource to a service: in=~/my-api name=order fields="number:string(20):unique note:text?"
	@$(BIN)/python -B add.py $@ $(ANSWERS)

idempotency retries rollout telemetry: .venv/.new-project  ## add that to a service: in=~/my-api
	@$(BIN)/python -B add.py $@ $(ANSWERS)

examples: .venv/.new-project  ## generate every variant into examples/, to look at
	@$(BIN)/python -m tests.examples >/dev/null
	@ls -d examples/*

test: .venv/.test  ## generate every variant and verify it; REQUIRE_SERVERS=1: a missing server is a failure
	@$(BIN)/python -m tests.variants
	$(BIN)/python -m pytest -m "not faults and not cluster and not slow"

test-all: .venv/.test  ## the same, on each Python, and what teams need: updates, forks, hooks, installations
	@$(BIN)/python -m tests.variants
	$(BIN)/python -m pytest -m "not faults and not cluster and not life"

test-life: .venv/.test  ## change the schema of a service again and again, and roll it out beside the last release
	@$(BIN)/python -m tests.variants
	$(BIN)/python -m pytest tests/test_life.py tests/test_rollout.py

test-faults: .venv/.test  ## put every variant under load, faults and races
	@$(BIN)/python -m tests.variants
	$(BIN)/python -m pytest -m faults

test-cluster: .venv/.test  ## put services on clusters of several servers, and take those apart
	@$(BIN)/python -m tests.variants
	$(BIN)/python -m pytest -m cluster

test-mutations: .venv/.test  ## break the database layer of every variant, and see whether its tests notice
	@$(BIN)/python -m tests.variants
	@$(BIN)/python -m tests.mutations

benchmark: .venv/.benchmark  ## measure a service, beside a tutorial's and the limit: database=sqlite engine=sync rounds=3 docs=no
	@$(BIN)/python -m benchmarks.service $(ANSWERS)

benchmark-growth: .venv/.benchmark  ## measure pages of large tables, and what a start costs: rows=100000 rounds=3 docs=no
	@$(BIN)/python -m benchmarks.growth $(ANSWERS)

benchmark-workers: .venv/.test .venv/.benchmark  ## measure 1, 2 and 4 processes, on one server and on clusters: rounds=3 docs=no
	@$(BIN)/python -m tests.variants
	@$(BIN)/python -m benchmarks.workers $(ANSWERS)

benchmark-bake: .venv/.new-project  ## measure what a bake costs
	@$(BIN)/python -m benchmarks.bake

picture: .venv/.test  ## draw what `make new-project` asks, and what `make resource` writes, for the README
	@$(BIN)/python -m tests.variants
	@$(BIN)/python docs/answers.py

check: .venv/.test  ## check what a commit would be refused for, in all files that git knows
	@git ls-files | grep -q . || { echo "git knows no file here, so nothing would be checked: git add --all" >&2; exit 1; }
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pre-commit run --all-files

hooks: .venv/.test  ## check each commit before it is made
	chmod +x .githooks/pre-commit
	git config core.hooksPath .githooks

# uv installs, and pip brings it; what uv cannot get, pip may. Both ask the index of pip's configuration, if it names one.
# What is installed is told by what is asked for, and not by time stamps.
UV := PATH="$(BIN):$$PATH" uv
.venv/.%: FORCE
	@if test -z "$(WORKS)" && { test -e .venv/.made || { test -L $(BIN)/python && ! $(BIN)/python -c ''; }; } 2>/dev/null; \
	  then echo '.venv was moved, or its Python is another one or gone: rm -rf .venv' >&2; exit 1; fi
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -c '$(CHECK)'
	@test -x $(BIN)/python || { echo 'Making .venv'; $(PYTHON) -m venv --without-pip .venv; }
	@test "$(WORKS) $(ASKED)" = "yes $$(cat $@ 2>/dev/null)" || { \
	  index=$$($(PYTHON) -m pip config list 2>/dev/null | sed -n "s/^.*[.]index-url='\(.*\)'$$/\1/p" | head -n 1); \
	  $(UV) --version >/dev/null 2>&1 || \
	  $(PYTHON) -m pip --python $(BIN)/python install --only-binary uv 'uv>=0.9' || \
	  { $(BIN)/python -m ensurepip && $(BIN)/python -m pip install --only-binary uv 'uv>=0.9'; }; \
	  UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}" $(UV) pip install --python $(BIN)/python --group $* || \
	  { echo 'uv cannot: pip tries'; $(BIN)/python -m pip --version || $(BIN)/python -m ensurepip; $(BIN)/python -m pip install --upgrade 'pip>=25.1' && \
	    $(BIN)/python -m pip install --group $*; } && \
	  $(BIN)/python -c '$(MADE)' > .venv/.made.$$$$ && mv .venv/.made.$$$$ .venv/.made && \
	  echo $(ASKED) | tee $@ > .venv/.new-project; }  # each group includes that one

FORCE:
