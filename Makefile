# Needs only Python 3.11 or newer, pip and make: each target sets up what it needs in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
PYTEST ?= $(BIN)/python -m pytest -n auto --dist worksteal -q

.PHONY: demo phone test test-random deep-properties mutants lint bench docs clean
.DEFAULT_GOAL := demo

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev
	@touch $@

demo: $(VENV)/.installed  ## the main job, end to end, with no set-up
	@$(BIN)/stepup-phone demo

phone: $(VENV)/.installed  ## a server and the phone, together
	@$(BIN)/stepup-phone --with-server

# Bytecode is kept even where the environment says otherwise: without it every one of the suite's processes compiles the product anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev  ## the whole test suite
	$(PYTEST)

test-random: $(VENV)/.dev  ## the same in random order; the printed option repeats it: make test-random SEED=…
	$(PYTEST) --random-order $(if $(SEED),--random-order-seed=$(SEED))

mutants: $(VENV)/.dev  ## small defects drawn at random, and whether the tests notice them: make mutants SEED=tuesday N=60
	$(BIN)/python -m tests.mutation $(if $(SEED),--seed "$(SEED)") $(if $(N),--n $(N))

deep-properties: $(VENV)/.dev  ## the report tested against itself, and the server against its model: 20,000 new examples of each
	$(PYTEST) -m deep tests/properties

lint: $(VENV)/.dev  ## linters, types, import walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## speed, as ratios in one run, into benchmarks/results/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed  ## the part of docs/compliance.md that the rules themselves say
	$(BIN)/python docs/make_compliance.py

clean:
	rm -rf $(VENV) dist build
