# Everything from a bare checkout: Python 3.11+, git and make are enough.
# PYTHON chooses the interpreter, ARGS is handed to the command.
PYTHON ?= python3
BIN    := .venv/bin

.PHONY: demo test lint types bench screenshots lock clean

demo: .venv/ready
	$(BIN)/access-bot demo $(ARGS)

test: .venv/ready
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

bench: .venv/ready
	$(BIN)/python -m bench $(ARGS)

# Takes the pictures of the README anew, with Chromium; `make test` says when one of them shows what is no longer so.
screenshots: .venv/ready
	SCREENSHOTS=1 $(BIN)/python -m pytest -n 0 tests/browser/test_pictures.py

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Access Bot needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	@echo "Installing into .venv (about half a minute, once)…"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Renews requirements.lock from pyproject.toml: one file for every platform, each package with its hashes.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	.venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header \
	  --extra aws --extra postgres --extra ssh --extra sandbox --group dev --no-emit-package access-bot --output-file requirements.lock pyproject.toml
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-lock .pytest_cache .mypy_cache .ruff_cache .hypothesis
