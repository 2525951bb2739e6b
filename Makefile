# make train   set up, render what is missing, train, evaluate; make test   all tests
PYTHON ?= python3
SYSTEM ?= mass_spring
PRESET ?= auto
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
WORKERS ?= 2
PYTEST := python -m pytest -n $(WORKERS) --dist loadfile

.PHONY: setup train figures test test-slow test-oldest lint format bench clean
.DEFAULT_GOAL := test

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[train,dev]'
	touch $@

train: setup
	$(BIN)/hgn-train auto --system $(SYSTEM) --preset $(PRESET)

figures: setup
	$(BIN)/hgn-train figures

test: setup
	$(BIN)/$(PYTEST)

test-slow: setup
	$(BIN)/python -m pytest -m slow

# the fast tests with the oldest versions that pyproject.toml allows; of PyTorch the tested one
test-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/$(PYTEST)

$(OLDEST)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch uv
	$(OLDEST)/bin/uv pip install --quiet --resolution lowest-direct --python $(OLDEST)/bin/python -e '.[train,dev]'
	touch $@

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
	rm -rf $(VENV) $(OLDEST) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
