"""Write the table of docs/reference/pod-shapes.md from what tests/pods/test_shapes.py saw."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".cache/pod-shapes.json"
PAGE = ROOT / "docs/reference/pod-shapes.md"
HEAD = """# What works in which pod

Written by `tools/pod_shapes.py` from the results of `tests/pods/test_shapes.py`, which starts the agent image under
each pod's settings with the outer podman.

On a node with cgroup v2 alone the rows are the same (Linux 6.1, in the virtual machine of `tools/vm.py`; `make soak`),
but for two things. An emptyDir in memory gets vfs before Linux 6.6, where tmpfs has no extended attributes for users.
And containerd leaves a privileged pod in the node's cgroup namespace: podman then makes its cgroups at the node's root,
so `docker stats` and `--memory` work, but containers and build steps are outside the pod's own memory and cpu limits.
In a cgroup namespace of its own, as unprivileged pods have, podman's cgroups are below the pod's.

RuntimeDefault is tried twice: here with containerd's profile under podman, and in `tests/pods/test_containerd.py` under
containerd itself.

| pod | build | push | run | storage | isolation | runtime | cgroups | user ids |
|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Write the page."""
    rows = []
    for shape in json.loads(RESULTS.read_text()).values():
        done = ["yes" if shape[what] else "no" for what in ("build", "push", "run")]
        rows.append("| " + " | ".join([shape["title"], *done, *shape["plan"]]) + " |\n")
    PAGE.write_text(HEAD + "".join(rows))


if __name__ == "__main__":
    main()
