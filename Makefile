# make help lists the targets. Everything runs in .venv, which `make setup` makes and keeps up to date.

PYTHON ?= python3
PRESET ?= laptop
NOTEBOOKS ?=
STORE ?=
FRESH ?=

override VENV := .venv
override RUN := $(VENV)/bin/python -m

# Values reach the shell as variables of its own, quoted there, so that nothing in them is run: not even make reads them.
export PYTHON PRESET NOTEBOOKS STORE FRESH
override PYTHON := $(value PYTHON)
override PRESET := $(value PRESET)
override NOTEBOOKS := $(value NOTEBOOKS)
override STORE := $(value STORE)
override FRESH := $(value FRESH)

# What .venv depends on: another interpreter or another folder needs a new one, another pyproject.toml an install.
PLACE := import os, sys; print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.base_prefix), os.getcwd())
NEEDS := import hashlib; print(hashlib.sha256(open("pyproject.toml", "rb").read()).hexdigest())

# A file's tests, or a notebook's cells, run on one core, and the dearest files begin: see tests/conftest.py.
override SPREAD := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help setup reproduce test bench site lint clean-build

help:
	@echo 'make setup        make .venv and install the package into it (PYTHON=python3)'
	@echo 'make reproduce    execute the notebooks and redraw the figures (PRESET=smoke|laptop|paper,'
	@echo '                  NOTEBOOKS="00 02", STORE=folder of results, FRESH=1 to do without the results in data/)'
	@echo 'make test         run the tests, then compare the committed notebooks with a redraw'
	@echo 'make bench        measure speed ratios, into build/bench.json'
	@echo 'make site         build the static site into build/site'
	@echo 'make lint         check style, limits and types'
	@echo 'make clean-build  remove build/'

setup:
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	    printf '%s %s\n' "PYTHON=$$PYTHON is not a Python 3.10 or newer ($$("$$PYTHON" --version 2>&1 | head -n 1));" \
	        "name one, for example: make setup PYTHON=python3.11" >&2; exit 2; }
	@"$$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || { \
	    printf '%s %s\n' "PYTHON=$$PYTHON has no venv module; install it (Debian: apt install python3-venv)" \
	        "or name another Python with PYTHON=..." >&2; exit 2; }
	@set -e; place="$$("$$PYTHON" -c '$(PLACE)')"; needs="$$("$$PYTHON" -c '$(NEEDS)')"; \
	if [ "$$(cat $(VENV)/made-from 2>/dev/null)" != "$$place" ] || [ ! -x $(VENV)/bin/python ]; then \
	    rm -rf $(VENV); "$$PYTHON" -m venv $(VENV); printf '%s\n' "$$place" > $(VENV)/made-from; \
	fi; \
	if [ "$$(cat $(VENV)/installed 2>/dev/null)" != "$$needs" ]; then \
	    rm -f $(VENV)/installed; \
	    $(RUN) pip install --editable '.[dev]'; \
	    printf '%s\n' "$$needs" > $(VENV)/installed; \
	fi

reproduce: setup
	@set -f; case "$$FRESH" in \
	    1|yes|true|on) set -- --fresh ;; \
	    ''|0|no|false|off) set -- ;; \
	    *) printf '%s\n' "FRESH must be 1, yes, true or on, or else 0, no, false, off or empty, got '$$FRESH'." >&2; exit 2 ;; \
	esac; \
	set -- "$$@" --preset "$$PRESET" $${STORE:+--store "$$STORE"} -- $$NOTEBOOKS; \
	exec $(RUN) mcutils reproduce "$$@"

# Both halves run even when the first fails. The second starts from an empty store and may compute nothing, so what it
# draws comes from the results shipped in data/.
test: setup
	@status=0; \
	$(RUN) pytest $(SPREAD) || status=1; \
	rm -rf build/nbval-store build/nbval-figures; \
	MCUTILS_STORE='$(CURDIR)/build/nbval-store' MCUTILS_FIGURES='$(CURDIR)/build/nbval-figures' \
	MCUTILS_COMPUTE=never OMP_NUM_THREADS=1 \
	$(RUN) pytest $(SPREAD) --nbval-lax --nbval-current-env --nbval-cell-timeout=600 notebooks/*.ipynb || status=1; \
	exit $$status

bench: setup
	@$(VENV)/bin/python tests/bench.py

site: setup
	@$(RUN) mcutils site

lint: setup
	@$(RUN) ruff check . && $(RUN) ruff format --check mcutils tests data && $(RUN) mypy

clean-build:
	rm -rf build
