# One command for each habit. `make help` lists them; `make demo` needs nothing but Python >= 3.11.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

DEMO_EXTRAS := algos,atari,retro,video,report
TEST_EXTRAS := $(DEMO_EXTRAS),screen,sb3,tensorboard,wandb,dev

# A worker has one torch thread (tests/conftest.py) and often waits for a game, so four share even two cores. A file
# stays with one worker: those of live games start an X server each. The longest come first (tests/conftest.py).
PYTEST_WORKERS ?= -n 4 --dist=loadfile --no-loadscope-reorder

BIN := $(VENV)/bin
# Errors only. torch comes first and by itself: asked for as a range, pip may take a build with several GB more.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
TORCH := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test check bench

help:
	@echo "make demo    install, train PPO on Pong for about five minutes, show what it learned"
	@echo "             (make demo ARGS='--env fighter --minutes 30' plays a fighting game)"
	@echo "make test    install, run every test              (make test ARGS='-k ppo')"
	@echo "make check   lint, format and type checks"
	@echo "make bench   list the benchmarks; make bench NAME=... ARGS='...' runs one"
	@echo
	@echo "PYTHON=$(PYTHON) makes the virtual environment $(VENV); name another with make demo PYTHON=python3.12"

demo: $(VENV)/.demo-installed
	@$(BIN)/hakisa demo $(ARGS)

test: $(VENV)/.test-installed
	@sh scripts/system-packages.sh
	@$(BIN)/python -m pytest $(PYTEST_WORKERS) $(ARGS)

check: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

ifdef NAME
bench: $(VENV)/.test-installed
	$(BIN)/python benchmarks/$(NAME).py $(ARGS)
else
bench:
	@for script in benchmarks/[!_]*.py; do \
		[ -e "$$script" ] || { echo "There are no benchmarks yet."; break; }; \
		printf 'make bench NAME=%-24s %s\n' "$$(basename "$$script" .py)" \
			"$$(sed -n '1,3s/^"""\(.[^"]*\).*/\1/p' "$$script")"; \
	done
endif

$(VENV)/.demo-installed: EXTRAS := $(DEMO_EXTRAS)
$(VENV)/.test-installed: EXTRAS := $(TEST_EXTRAS)
# On Linux it builds evdev, for which a machine may lack the compiler: the tests that need it are skipped then.
$(VENV)/.test-installed: OPTIONAL := portable
# A stamp is newer than what it was made from, so an unchanged tree installs nothing.
$(VENV)/.%-installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing into $(VENV), once, about 1.5 GB: first $(TORCH) ..."
	@$(PIP) install "$(TORCH)"
	@echo "... then hakisa[$(EXTRAS)] ..."
	@$(PIP) install --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@[ -z "$(OPTIONAL)" ] || $(PIP) install --constraint constraints.txt --editable ".[$(OPTIONAL)]" || \
		echo "hakisa[$(OPTIONAL)] could not be installed: its tests are left out"
	@touch $@

$(BIN)/pip:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "Hakisa needs Python 3.11 or newer, and there is no '$(PYTHON)' here. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Hakisa needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1). Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { \
		echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv "$(VENV)"
