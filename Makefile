# make install | run | test | test-fast | lint | survival | protections | verify | bench | scale | compare | docs | lock | clean. The environment .venv is built when missing.
PYTHON ?= python3
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: install run test test-fast lint survival protections verify bench scale compare docs lock clean

install: .venv/installed

run: .venv/installed
	@python tools/start.py $(ARGS)

# Two files of tests at a time: most of what they wait for keeps one core busy.
PYTEST = python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
test: .venv/installed
	$(PYTEST) $(ARGS)

# Most mistakes, in 90 seconds: no run of Snakemake, no long training.
test-fast: .venv/installed
	$(PYTEST) -m "not slow" tests/contract tests/hostile tests/workflow tests/unit $(ARGS)

# The style, and whether the generated documents are up to date.
lint: .venv/installed
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow/Snakefile workflow/rules
	snakemake --lint
	PYTHONPATH=workflow python tools/docs/configuration.py --check

# Kills builds at random moments, 12 in every stage (half an hour on two cores), and
# writes docs/survival.md.
survival: .venv/installed
	PYTHONPATH=workflow:tests python tests/survival/kills.py $(ARGS)

# Takes out each protection of tests/protections.yaml in a copy, and runs the test that must notice
# it (ten minutes on two cores); make protections ARGS="words of some entries"
protections: .venv/installed
	python tests/protections.py $(ARGS)

# Compares every checksum that the workflow wrote down with what lies there now.
verify: .venv/installed
	PYTHONPATH=workflow python tools/verify.py

# Two finished builds side by side, as compare.md and compare.html:
# make compare A=results/lfw B=elsewhere/results/lfw
compare: .venv/installed
	@python tools/compare.py "$(A)" "$(B)"

# Speed as ratios within one run; needs a folder of photos: make bench PHOTOS=results/synthetic/raw
PHOTOS ?= results/synthetic/raw
bench: .venv/installed
	OMP_WAIT_POLICY=PASSIVE PYTHONPATH=workflow python tools/bench/train.py
	OMP_WAIT_POLICY=PASSIVE PYTHONPATH=workflow python tools/bench/search.py
	PYTHONPATH=workflow python tools/bench/align.py $(PHOTOS)

# Seconds and memory of every stage at 12,500 to 200,000 photos (20 minutes on two cores, and 15
# GB): make scale SIZES="2000 8000" WORK=FOLDER ARGS="--output FILE". Goes on where it was stopped.
SIZES ?= 12500 50000 200000
WORK ?= /tmp/facefill-scale
scale: .venv/installed
	OMP_WAIT_POLICY=PASSIVE PYTHONPATH=workflow python tools/bench/scale.py --sizes $(SIZES) --work "$(WORK)" $(ARGS)

# The generated documents: docs/configuration.md and the schema from what kinds declare, and
# docs/hostile-input.md by its tests.
docs: .venv/installed
	PYTHONPATH=workflow python tools/docs/configuration.py
	python -m pytest tests/hostile --write-docs

# Every package of a new environment of requirements.txt, as the image installs it. To be made with
# the oldest Python 3.11 at hand (make lock PYTHON=/usr/bin/python3): some releases do not run on
# 3.11.2, Debian's. What follows a "+" says how PyTorch was built: for a CPU or a CUDA.
LOCKING = .venv/locking
lock:
	rm -rf $(LOCKING)
	$(PYTHON) -m venv $(LOCKING)
	$(LOCKING)/bin/pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	{ echo "# By make lock. Without hashes, since PyTorch's wheels differ by platform and by CUDA."; \
	  $(LOCKING)/bin/pip freeze --all --exclude pip | sed "s/+.*//"; } > envs/lock.txt.partial
	mv envs/lock.txt.partial envs/lock.txt
	rm -rf $(LOCKING)

clean:
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf .snakemake

.venv/installed: envs/requirements.txt envs/dev.txt envs/lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "facefill: needs Python 3.11 or newer, $$($(PYTHON) --version) found; try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -c envs/lock.txt -r envs/dev.txt
	touch $@
