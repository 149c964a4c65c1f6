# All targets do all their own set-up: Python (>= 3.10) and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-slow test-lowest test-libraries test-page test-package soak coverage mutants benchmark results docs lint format clean

demo: $(READY)
	$(BIN)/gf-env demo --output runs/demo

# two processes of one thread each: on two cores that takes half the time of one with two threads
PYTEST := -m pytest --numprocesses 2 --dist loadfile
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST)

# the tests marked slow: further learners, the largest networks, longer trainings, notebooks, the site
test-slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m slow

# the same with the lowest versions that pyproject.toml allows, in an environment of its own. Python 3.10
# and 3.11 have wheels of all of them. What they use of other libraries may be deprecated there by now
LOWEST := .venv-lowest
test-lowest:
	$(PYTHON) -m venv $(LOWEST)
	sed -nE 's/^ *"([a-z0-9-]+)>=([0-9.]+)(;.*)?",$$/\1==\2/p' pyproject.toml > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt --editable '.[test]'
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python $(PYTEST) -m 'slow or not slow' -W ignore::DeprecationWarning

# every snippet of docs/LIBRARIES.md, and Ray, with the newest versions of other libraries, in an
# environment of its own; writes the page's table. RLlib asks for a Gymnasium of its own, so it is last
LIBRARIES := .venv-libraries
TEST_LIBRARIES := OMP_NUM_THREADS=1 $(LIBRARIES)/bin/python -m pytest -W default --write-table tests/libraries
test-libraries:
	$(PYTHON) -m venv $(LIBRARIES)
	$(LIBRARIES)/bin/python -m pip install --quiet --upgrade gymnasium --editable '.[libraries,test]'
	$(TEST_LIBRARIES) -m 'libraries and not rllib'
	$(LIBRARIES)/bin/python -m pip install --quiet 'ray[rllib]'
	$(TEST_LIBRARIES) -m 'libraries and rllib'

# the page of `gf-env play` in a real browser: a Chromium on the PATH, else what `playwright install
# chromium` has put there. In an environment of its own, with the newest versions of the extra
PAGE := .venv-page
test-page:
	$(PYTHON) -m venv $(PAGE)
	$(PAGE)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[play,test]' 'playwright>=1.50'
	PICTURE=docs/images/play.png $(PAGE)/bin/python -m pytest -m page tests/agents/play/test_page.py

# a wheel, built from an sdist, installed in an environment of its own and used from an empty folder
PACKAGE := $(CURDIR)/.venv-package
test-package:
	$(PYTHON) -m venv --clear $(PACKAGE)
	$(PACKAGE)/bin/python -m pip install --quiet build
	$(PACKAGE)/bin/python -m build --outdir $(PACKAGE)/dist
	$(PACKAGE)/bin/python -m pip install --quiet --constraint constraints.txt $(PACKAGE)/dist/*.whl
	mkdir -p $(PACKAGE)/empty
	cd $(PACKAGE)/empty && OMP_NUM_THREADS=2 $(PACKAGE)/bin/python -I $(CURDIR)/tests/packaging/installed.py

# damaged and forged files, kills, two processes in one folder, full disks, long runs; another seed tries
# others. SOAK="files kills", JOBS=benchmark and LENGTH=100 choose what, and how much of each. With OUTPUT, what
# was found is kept there: docs/reliability.json, of which `$(BIN)/python -m tests.soak.page` makes the page
SEED := 0
soak: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak.run $(SOAK) --seed $(SEED) \
		$(if $(LENGTH),--length $(LENGTH)) $(if $(JOBS),--jobs $(JOBS)) $(if $(OUTPUT),--output $(OUTPUT))

# lines and branches of both packages that the tests run, in processes of their own, too; fails below 98%
coverage: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt '.[coverage]'
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m 'slow or not slow' --cov --cov-report=term:skip-covered --cov-fail-under=98

# changes rewards, rules, returns and statistics line by line; what no test notices is listed
mutants: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt '.[mutants]'
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	rm -rf mutants
	OMP_NUM_THREADS=1 $(BIN)/mutmut run
	$(BIN)/mutmut results

# ten minutes or so, on a machine that does nothing else
benchmark: $(READY)
	$(BIN)/python -m performance.speed --output docs/performance

# the tables of docs/RESULTS.md and ABLATIONS.md, with five seeds everywhere; resumed where it was stopped. The learners'
# suite alone took 1.9 hours of core time
SUITES := learners paper map values keys signals scenes plateau sees rewards discounts stds actions find search plan join tasks stopping
results: $(READY)
	for suite in $(SUITES); do $(BIN)/gf-env benchmark $$suite --output runs/results || exit 1; done

# the site, offline, in docs/_build; a warning is an error
docs: $(READY)
	$(BIN)/sphinx-build -E -W --keep-going docs docs/_build

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# written last, so that an installation that was broken off is done again
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) $(LIBRARIES) $(PAGE) $(PACKAGE) docs/_build mutants runs build *.egg-info
