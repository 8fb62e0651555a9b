# Two commands for a newcomer: `make demo` and `make test`. Everything lands in .venv and demo-output.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The release that was tested; a looser range would let pip replace a CPU build that is already there.
TORCH := torch==2.13.0

.PHONY: help demo test test-fast lint format install install-test system-packages clean

help:
	@echo "make demo    install into $(VENV) and score examples/demo.flv"
	@echo "make test    install what the tests need and run them all"
	@echo "make lint    ruff and mypy --strict, as CI runs them"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "kuaihl needs Python 3.11 or later; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "cannot make $(VENV); on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# Stamps keep a second `make` from asking the registry again.
$(VENV)/.tool: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable '.[edge]' --config-settings editable_mode=strict
	@touch $@

$(VENV)/.tests: $(VENV)/.tool
	$(BIN)/python -m pip install --quiet --editable '.[edge,openai-whisper,test]' --config-settings editable_mode=strict
	@touch $@

install: $(VENV)/.tool

# A strict editable install links file by file, so new files show only after it is made again.
install-test: $(VENV)/.tests
	@$(BIN)/python -m pip install --quiet --no-deps --editable . --config-settings editable_mode=strict

demo: install
	$(BIN)/kuaihl score examples/demo.flv --comments examples/demo.comments.xml \
		--output demo-output --force --plot --format csv,srt
	@echo "results are in demo-output/: highlights.json, scores.jsonl, scores.png, highlights.csv, highlights.srt"

# The live tests feed a real nginx-rtmp server by ffmpeg, and those of sinks a real Redis and a real NATS; without root
# or apt they are skipped, with that reason.
system-packages:
	@missing=""; \
	command -v ffmpeg >/dev/null || missing="$$missing ffmpeg"; \
	{ [ -x /usr/sbin/nginx ] && ls /usr/lib/nginx/modules/ngx_rtmp_module.so >/dev/null 2>&1; } \
		|| missing="$$missing nginx-light libnginx-mod-rtmp"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v nats-server >/dev/null || missing="$$missing nats-server"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	else echo "tests that need$$missing will be skipped (install with apt-get to run them)"; fi

# Two processes share the files of tests. Threads of torch that wait must not spin: each would slow the other process.
test: system-packages install-test
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest tests -n 2 --dist loadfile

test-fast: install-test
	$(BIN)/python -m pytest tests -m 'not slow'

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict -p kuaihl -p kuaihl_cli

format: install-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build demo-output .mypy_cache .ruff_cache .pytest_cache
