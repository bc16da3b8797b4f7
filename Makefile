# Every target is one or two plain Python commands; README.md lists them for Windows.
PYTHON ?= python3
PROFILE ?= default
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install tutorial test lab bench reference docs lint clean

help:
	@echo "make tutorial   install, run every notebook, print the page to open (PROFILE=smoke: quick)"
	@echo "make test       unit tests, every notebook in the smoke profile, then again by nbval"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make bench      measure the ratios in benchmarks/RESULTS.md"
	@echo "make reference  remake the reference scorecards of PROFILE (after a change on purpose)"
	@echo "make docs       build the site in build/site from the notebooks that make tutorial ran"
	@echo "make lint       ruff and pyright"
	@echo "make clean      remove .venv, runs and build (the model cache stays)"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@# Made once: with another Python on the path, a second time would mix the two.
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing (torch is large: this can take some minutes)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

tutorial: install
	$(BIN)/erasekit tutorial --profile $(PROFILE) --out runs/tutorial

test: install
	$(BIN)/python tests/run_all.py

lab: install
	$(BIN)/jupyter lab notebooks

bench: install
	$(BIN)/python benchmarks/bench.py

reference: install
	$(BIN)/erasekit tutorial --profile $(PROFILE) --out runs/reference-$(PROFILE) --write-reference

docs: install
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site
	@echo "open build/site/index.html"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) runs build docs/_generated
