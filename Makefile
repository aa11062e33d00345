# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: help demo test lint types bench bench-detectors bench-train clean

help:
	@echo "make demo             set up, find faces on three pictures, show where the results are"
	@echo "make test             set up (TensorFlow included, for the tests of training), run the tests"
	@echo "make lint types       ruff, and mypy --strict"
	@echo "make bench            frames per second of every detector (needs ../shared)"
	@echo "make bench-detectors  time and accuracy of every detector, states by both judges, turned photos (needs ../shared)"
	@echo "make bench-train      cached features and fine-tuning against plain loops (needs ../shared)"

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(PIP) -e '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(PIP) -e '.[dev,train]'
	touch $@

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py demo-out

test: $(VENV)/.dev
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/detect.py
	$(BIN)/python benchmarks/memory.py

bench-detectors: $(VENV)/.dev
	$(BIN)/python benchmarks/detectors.py
	$(BIN)/python benchmarks/judges.py
	$(BIN)/python benchmarks/turned.py

bench-train: $(VENV)/.dev
	$(BIN)/python benchmarks/train.py

clean:
	rm -rf $(VENV) demo-out .mypy_cache .pytest_cache .ruff_cache
