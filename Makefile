PYTHON ?= python3
VENV := .venv
IN_VENV := $(VENV)/bin/python

.PHONY: demo test test-quick test-long image lint bench soak docs cli-files lock clean record-bake record-docker

demo:  ## the seed's job in real pods of the real image
	$(PYTHON) tools/demo.py

test: $(VENV)/ready  ## all but test-long; installs what this machine lacks, saying what
	$(PYTHON) tools/host.py podman mmdebstrap docker-registry htpasswd busybox skopeo git procps \
		containerd qemu bindfs btrfs iproute2 xfs
	$(PYTHON) tools/image.py
	$(IN_VENV) -m pytest -m "not long"

test-long: $(VENV)/ready  ## what `make test` leaves out to end in time; after it, on the same image
	$(IN_VENV) -m pytest -m long

test-quick: $(VENV)/ready  ## under a minute: the cheap tests that tell most; none starts a container
	$(PYTHON) tools/host.py procps git
	$(IN_VENV) -m pytest -m "not nested" -n auto --dist loadfile tests/unit tests/oracles tests/tools tests/docs tests/shim

image:  ## with its SBOM in build/sbom.cdx.json; `make image IMAGE=--slim` is without Java
	$(PYTHON) tools/image.py $(IMAGE)

lock: $(VENV)/ready  ## the newest versions that pyproject.toml allows, with hashes, for the image
	$(VENV)/bin/pip install --quiet uv
	$(IN_VENV) tools/lock.py

lint: $(VENV)/ready
	$(PYTHON) tools/host.py shellcheck
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	PYTHONPATH=pylib $(VENV)/bin/lint-imports
	$(VENV)/bin/vulture
	$(VENV)/bin/hadolint Containerfile
	$(VENV)/bin/zizmor --offline --quiet --config .github/zizmor.yml .github
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(PYTHON) tools/shell_scripts.py | xargs shellcheck

bench:  ## half an hour: against podman's defaults, buildah and dockerd; writes bench/results.json, the table and chart of docs/explanation/performance.md
	$(PYTHON) -m bench $(BENCH)

soak: $(VENV)/ready  ## hours: a thousand kills, full disks and crowds on one cache volume; figures in .cache/soak
	mkdir -p .cache/soak
	$(IN_VENV) tests/soak/kill.py --kills 1000 --work .cache/soak/kill
	$(IN_VENV) tests/soak/kill.py --kills 200 --full --work .cache/soak/full
	$(IN_VENV) tests/soak/kill.py --kills 60 --mode plain --work .cache/soak/plain
	$(IN_VENV) tests/soak/together.py --mode claim --against private --work .cache/soak/turns
	$(IN_VENV) tests/soak/together.py --mode plain --work .cache/soak/plain
	$(PYTHON) tools/vm.py '.venv/bin/python -m pytest -p no:cacheprovider tests/pods/on_cgroup_v2.py \
		tests/pods/test_shapes.py -k "not xfs and not btrfs and not planned[tmpfs] and not plain and not cgroup-v1 and not hybrid and not namespaced"'

record-bake: ## ask a real buildx what it makes of our bake files; writes the record that tests compare with
	cd tests/oracles/bake && $(abspath $(IN_VENV)) record.py \
		"$$(cd ../../.. && $(PYTHON) tools/originals.py sid docker-buildx)/usr/libexec/docker/cli-plugins/docker-buildx"

record-docker: ## ask a real docker what it says to tests/oracles/docker/lines.txt; five minutes, as root; writes the record
	$(PYTHON) tools/host.py docker-registry busybox skopeo
	$(PYTHON) tools/record_docker.py

docs: $(VENV)/ready  ## the documentation site, in build/site; every link in it leads somewhere, or it fails
	$(IN_VENV) -m mkdocs build --strict --quiet

cli-files: $(VENV)/ready  ## the manual pages and the completion that the image has, from the command line's own parsers
	$(IN_VENV) tools/cli_files.py

clean:  ## the venv, the caches, and the outer podman's store
	$(PYTHON) tools/outer.py clean
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache pylib/*.egg-info build

$(VENV)/ready: pyproject.toml
	$(PYTHON) tools/host.py python3-venv procps git
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable '.[test,lint]'
	touch $@
