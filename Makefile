# Two commands do all the set-up: `make demo` and `make test`. Both make a virtual environment of their own in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test check format clean

demo: $(VENV)/installed  ## Install, then draw one picture with the embedded model
	$(BIN)/limner run text_to_image --set "prompt=a large red circle on a #203040 background" --out outputs/demo.png

test: $(VENV)/installed-dev  ## Install with the dev extra, then everything that CI checks
	$(MAKE) check

check:  ## Everything that CI checks, in the environment that is there
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd typings && $(abspath $(BIN))/lint-imports --config ../pyproject.toml
	$(BIN)/pytest

format:  ## Put the code into the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Forget the environment and what tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@ $(VENV)/installed
