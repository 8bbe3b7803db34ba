PYTHON ?= python3
VENV := .venv
IN_VENV := $(VENV)/bin/python

.PHONY: demo test test-quick image lint bench soak clean

demo:  ## the seed's job in real pods of the real image
	$(PYTHON) tools/demo.py

test: $(VENV)/ready  ## everything; installs what this machine lacks, saying what
	$(PYTHON) tools/host.py podman mmdebstrap docker-registry htpasswd busybox skopeo git
	$(PYTHON) tools/image.py
	$(IN_VENV) -m pytest

test-quick: $(VENV)/ready  ## only what needs no container
	$(IN_VENV) -m pytest -m "not nested"

image:
	$(PYTHON) tools/image.py

lint: $(VENV)/ready
	$(PYTHON) tools/host.py shellcheck
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/hadolint Containerfile
	$(PYTHON) tools/shell_scripts.py | xargs shellcheck

clean:  ## the venv, the caches, and the outer podman's store
	$(PYTHON) tools/outer.py clean
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache pylib/*.egg-info build

$(VENV)/ready: pyproject.toml
	$(PYTHON) tools/host.py python3-venv
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable '.[test,lint]'
	touch $@
