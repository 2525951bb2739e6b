# make train   set up, render what is missing, train, evaluate; make test   all tests
PYTHON ?= python3
SYSTEM ?= mass_spring
PRESET ?= auto
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup train figures test test-slow lint format bench clean
.DEFAULT_GOAL := test

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	touch $@

train: setup
	$(BIN)/hgn-train auto --system $(SYSTEM) --preset $(PRESET)

figures: setup
	$(BIN)/hgn-train figures

test: setup
	$(BIN)/python -m pytest

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
