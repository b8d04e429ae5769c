# genlab: `make demo` shows it, `make test` tests it; both need Python 3.11+ and a package registry.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
GENLAB_DATA ?= $(abspath $(firstword $(wildcard ../shared/data)))
export GENLAB_DATA
export WANDB_MODE ?= offline

.PHONY: demo test test-fast test-slow faults fuzz mutants slurm browser bench gpu-day experiments reproduce reproduce-fast lint lock clean setup

setup: $(BIN)/.installed

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "genlab needs Python 3.11 or newer; set PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "Installing genlab and torch: a few minutes, several GB on Linux (the registry's build is for CUDA)."
	$(BIN)/python -m pip install --quiet -e '.[test,sweep]' torch
	touch $@

demo: setup           ## train the default experiment, draw, measure, report: about 3 minutes
	$(BIN)/genlab train experiment=digits_diffusion

test: setup lint      ## what CI runs: the fast tests, and whole runs in small
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --durations=10

test-fast: setup      ## the fast tests alone: after each change
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m 'not whole and not slow and not faults and not fuzz and not gpu and not slurm'

test-slow: setup      ## what takes minutes: whole experiments against their bars
	$(BIN)/python -m pip install --quiet -e '.[test,ray]'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow -n 2 --dist worksteal

faults: setup         ## kills, damage, full disks: about 25 minutes; writes docs/reliability.md
	rm -f .faults.jsonl
	OMP_NUM_THREADS=1 GENLAB_FAULTS=$(CURDIR)/.faults.jsonl $(BIN)/python -m pytest -q -m faults -n 2 --dist worksteal -p no:cacheprovider tests; \
		code=$$?; $(BIN)/python scripts/faults_table.py .faults.jsonl $(wildcard .fuzz.jsonl) && exit $$code

fuzz: setup           ## 10,000 odd inputs to each gate: about 12 minutes, for the night; GENLAB_FUZZ_SEED=1 for others
	rm -f .fuzz.jsonl
	OMP_NUM_THREADS=1 GENLAB_FAULTS=$(CURDIR)/.fuzz.jsonl $(BIN)/python -m pytest -q -s -m fuzz -p no:cacheprovider tests/fuzz

mutants: setup        ## some 390 wrong changes, named, one at a time: a test fails for each; writes docs/mutants.md
	$(BIN)/python scripts/mutants.py

slurm: setup          ## a Slurm of two nodes on this machine (Debian, as root), and what genlab does in it
	scripts/slurm_here.sh start /tmp/genlab_slurm
	SLURM_CONF=/tmp/genlab_slurm/slurm.conf OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slurm tests/faults/test_slurm.py; \
		code=$$?; scripts/slurm_here.sh stop /tmp/genlab_slurm; exit $$code

browser: setup        ## pages in a browser: installs gradio and playwright; Chromium must be there
	$(BIN)/python -m pip install --quiet -e '.[test,board,play,browser]'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/runs/test_play_page.py tests/faults/test_browser.py

experiments: setup    ## every experiment at full length; prints the README's table
	$(BIN)/python scripts/bench/experiments.py

reproduce: setup      ## every published number of conf/paper again: hours; writes docs/reproduction.md
	$(BIN)/genlab reproduce all to=docs

reproduce-fast: setup ## those that take at most ten minutes each
	$(BIN)/genlab reproduce fast to=docs

bench: setup          ## the loop's cost and start-up, side by side
	$(BIN)/python scripts/bench/loop_overhead.py
	$(BIN)/python scripts/bench/startup.py
	OMP_NUM_THREADS=1 $(BIN)/python scripts/bench/save_cost.py

gpu-day: setup        ## all that a GPU shows, in 25 minutes on one; writes gpu_day/results.md: docs/gpu.md
	$(BIN)/python scripts/gpu_day.py --out gpu_day

lint: setup
	$(BIN)/ruff check src tests scripts
	$(BIN)/ruff format --check src tests scripts

lock:                 ## every dependency with its hashes, for installs that repeat: requirements.lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile pyproject.toml --extra test --extra sweep --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) outputs build dist
