# make run      set everything up and run the main job
# make test     set everything up and pass the tests
# make install  .venv with all that this machine can run
# make check    lint and types
# make train    add what training the networks needs (torch)

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: run test install check train clean

run: install
	@$(BIN)/mien run $(ARGS)

install: .venv/installed

test: .venv/installed-dev
	@$(BIN)/python -m pytest $(ARGS)

check: .venv/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

train: .venv/installed-train

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 12) else "mien needs Python 3.11 or 3.12, this is %d.%d; name another one: make PYTHON=python3.11" % v)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Missing: python3-venv. Install it with: sudo apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/installed: constraints.txt pyproject.toml | .venv/bin/python
	@echo "Installing into .venv (some minutes the first time) ..."
	@$(PIP) --no-deps -r constraints.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@echo "Compiling and making the built-in avatar ..."
	@$(BIN)/mien warm
	@touch $@

.venv/installed-dev: constraints-dev.txt .venv/installed
	@$(PIP) --no-deps -r constraints-dev.txt
	@command -v chromium >/dev/null || echo "Missing for the browser tests (skipped without it): sudo apt install chromium"
	@touch $@

.venv/installed-train: constraints-train.txt .venv/installed-dev
	@$(PIP) --no-deps -r constraints-train.txt
	@touch $@

clean:
	@rm -rf .venv
