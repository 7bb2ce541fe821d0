# Two commands: `make demo` builds edgevid, gets its models, watches a real video and answers questions about it;
# `make test` runs every test. Both work in .venv and say what is missing.
PYTHON ?= python3
VENV   ?= .venv
EXTRAS ?= test
JOBS   ?= $(shell nproc)
BIN     = $(VENV)/bin

.PHONY: demo test pytest ctest soak longrun sanitize tsan fuzz lint format packs wheel clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## build, pull models, watch a sample video, ask two questions, write a contact sheet
	@tools/check_host.sh build $(PYTHON)
	@tools/make_venv.sh $(VENV) $(PYTHON) demo
	@$(BIN)/edgevid models pull --default
	@mkdir -p build/demo
	@$(BIN)/edgevid watch sample --llm demo --sheet build/demo/sheet.png --save build/demo/sample.edgevid \
	  --ask "What is on the road?" --ask "What does the speaker say?"

test: pytest ctest ## all tests: Python and C++

pytest: packs ## Python tests
	@$(BIN)/python -m pytest

soak: packs ctest ## long reliability tests (about an hour), with a summary of each
	@EDGEVID_SOAK_STEPS=1000000 build/release/csrc/tests/ev_test_kv --gtest_filter='*RandomStep*' --gtest_brief=1
	@$(BIN)/python -m pytest -m soak -rA --durations=0

packs: $(VENV)/.$(EXTRAS) ## the default model packs
	@$(BIN)/edgevid models pull --default

$(VENV)/.$(EXTRAS): pyproject.toml CMakeLists.txt $(shell find csrc -name '*.cc' -o -name '*.h' -o -name CMakeLists.txt)
	@tools/check_host.sh test $(PYTHON)
	@tools/make_venv.sh $(VENV) $(PYTHON) $(EXTRAS) editable
	@touch $@

ctest: ## C++ tests
	@tools/check_host.sh test $(PYTHON)
	@cmake --preset release > build/cmake.log 2>&1 || { cat build/cmake.log; exit 1; }
	@cmake --build --preset release -j $(JOBS)
	@ctest --preset release -j $(JOBS)

sanitize: ## C++ tests under ASan + UBSan
	@cmake --preset asan > build/cmake-asan.log 2>&1 || { cat build/cmake-asan.log; exit 1; }
	@cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan -j $(JOBS)

tsan: ## thread pool and decoder under ThreadSanitizer
	@cmake --preset tsan > build/cmake-tsan.log 2>&1 || { cat build/cmake-tsan.log; exit 1; }
	@cmake --build --preset tsan -j $(JOBS) --target ev_test_base ev_test_kv
	@ctest --preset tsan -j $(JOBS) -R "ThreadPool|KvCache|Tiers"

fuzz: ## fuzz every parser for FUZZ_SECONDS each (default 60)
	@.ci/fuzz.sh $(or $(FUZZ_SECONDS),60)

longrun: packs ## every bench in full, and needles asked after a kill, on an idle machine; about an hour; JSON in build/longrun
	@mkdir -p build/longrun
	@for name in answers runtime decoder streaming; do \
	  echo "$$name"; $(BIN)/edgevid bench $$name --json > build/longrun/$$name.json || exit 1; done
	@$(BIN)/python -m pytest tests/reliability/test_longrun.py -m soak -rA

lint: ## ruff, mypy, clang-format
	@$(BIN)/ruff check edgevid kernels tests bench tools examples
	@$(BIN)/ruff format --check edgevid kernels tests bench tools examples
	@$(BIN)/mypy
	@git ls-files 'csrc/*.cc' 'csrc/*.h' 'csrc/*.cu' | xargs $(BIN)/clang-format --dry-run --Werror

format: ## rewrite sources in the house style
	@$(BIN)/ruff format edgevid kernels tests bench tools examples
	@git ls-files 'csrc/*.cc' 'csrc/*.h' 'csrc/*.cu' | xargs $(BIN)/clang-format -i

wheel: ## sdist and wheel, tried in a clean environment without the source tree
	@tools/check_wheel.sh $(PYTHON)

clean: ## remove what was built here (model packs in the cache stay)
	@rm -rf build dist $(VENV)
