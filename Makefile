# Builds everything from a fresh checkout. It needs Python 3.11 or newer, git and make.
# PYTHON is the interpreter, ARGS are passed to the command.
PYTHON ?= python3
BIN    := .venv/bin
UV     := $(BIN)/uv
TOOL   := $(UV) tool run --quiet

# If it is set, as in many container images, every process compiles all of its imports again.
unexport PYTHONDONTWRITEBYTECODE

SERVED := --extra aws --extra oncall --extra postgres --extra ssh --extra tsa
EXTRAS := $(SERVED) --extra sandbox
COMPILE := pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header
# The tests that show that a set of dependencies works: every documented start, every verb and button.
STARTS := tests/test_readme.py tests/faults/test_start.py tests/faults/test_lifecycle.py

.PHONY: demo test test-newest test-oldest test-both-ends lint types check-deploy bench screenshots lock clean

demo: .venv/ready
	$(BIN)/access-bot demo $(ARGS)

test: .venv/ready
	$(BIN)/python -m pytest $(ARGS)

# Tests with both ends of the ranges in pyproject.toml, each resolved again in its own environment: the newest
# allowed versions, and the lowest versions that pyproject.toml names, with the newest development tools that fit.
test-newest: .venv/ready
	@rm -rf .venv-newest && $(UV) venv --quiet --seed --python $(PYTHON) .venv-newest
	@$(UV) pip compile --quiet --python .venv-newest/bin/python $(EXTRAS) --group dev \
	  --no-emit-package access-bot --output-file .venv-newest/requirements.txt pyproject.toml
	@$(UV) pip install --quiet --python .venv-newest/bin/python -r .venv-newest/requirements.txt
	@$(UV) pip install --quiet --python .venv-newest/bin/python --no-deps --no-build-isolation --editable .
	.venv-newest/bin/python -m pytest $(ARGS)

test-oldest: .venv/ready
	@rm -rf .venv-oldest && $(UV) venv --quiet --seed --python $(PYTHON) .venv-oldest
	@$(UV) pip compile --quiet --python .venv-oldest/bin/python $(EXTRAS) --resolution lowest-direct \
	  --no-emit-package access-bot --output-file .venv-oldest/requirements.txt pyproject.toml
	@$(UV) pip compile --quiet --python .venv-oldest/bin/python --group pyproject.toml:dev \
	  --constraint .venv-oldest/requirements.txt --output-file .venv-oldest/tools.txt
	@$(UV) pip install --quiet --python .venv-oldest/bin/python \
	  -r .venv-oldest/requirements.txt -r .venv-oldest/tools.txt
	@$(UV) pip install --quiet --python .venv-oldest/bin/python --no-deps --no-build-isolation --editable .
	.venv-oldest/bin/python -m pytest $(or $(ARGS),$(STARTS))

# Both in parallel, because each spends half of its time waiting.
test-both-ends:
	$(MAKE) --jobs=2 test-newest test-oldest ARGS="$(STARTS) -n 2"

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

# Checks the files for deployment against their published schemas, and the workflows for unsafe steps.
check-deploy: .venv/ready
	$(TOOL) check-jsonschema@0.39.0 --builtin-schema vendor.compose-spec compose.yaml
	$(TOOL) kubernetes-validate@1.37.0 --strict --quiet -k 1.33 deploy/kubernetes/example/namespace.yaml \
	  $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/base/*.yaml))
	$(TOOL) check-jsonschema@0.39.0 --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOL) check-jsonschema@0.39.0 --builtin-schema vendor.dependabot .github/dependabot.yml
	$(TOOL) zizmor@1.32.0 --quiet --offline --min-severity medium .github

bench: .venv/ready
	$(BIN)/python -m bench $(ARGS)

# Takes the pictures of the README again, with Chromium. `make test` fails if a picture is out of date.
screenshots: .venv/ready
	SCREENSHOTS=1 $(BIN)/python -m pytest -n 0 tests/browser/test_pictures.py

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Access Bot needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@echo "Installing into .venv (about half a minute, once)…"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Writes three files for all platforms, with the hashes of each package: requirements.lock has everything, and two
# parts of it are for production. requirements.txt has what the bot needs, requirements-build.txt what builds its wheel.
lock: .venv/ready
	$(UV) $(COMPILE) $(EXTRAS) --group dev --no-emit-package access-bot \
	  --output-file requirements.lock pyproject.toml
	$(UV) $(COMPILE) --no-annotate $(SERVED) --no-emit-package access-bot --constraint requirements.lock \
	  --output-file requirements.txt pyproject.toml
	$(UV) $(COMPILE) --no-annotate --group build --constraint requirements.lock \
	  --output-file requirements-build.txt

clean:
	rm -rf .venv .venv-newest .venv-oldest .pytest_cache .mypy_cache .ruff_cache .hypothesis
