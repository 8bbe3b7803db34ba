"""Ask a real docker what it says to every line of tests/oracles/docker/lines.txt: ``make record-docker``.

The answers, masked, become tests/oracles/docker/docker-VERSION.json, which `test_docker_lines` compares with.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import dockerd
import outer

ORACLE = outer.ROOT / "tests/oracles/docker"
sys.path.insert(0, str(outer.ROOT / "tests"))
from oracles.docker.masks import masked  # noqa: E402

START = """import os, subprocess
os.environ["REG"] = "127.0.0.1:5000"
open("/lab/version", "w").write(subprocess.check_output(["docker", "version", "-f", "{{.Server.Version}}"], text=True))
subprocess.run(["python3", "/lab/runner.py", "/lab/lines.txt", "/lab/base.tar", "/lab/results.json"], check=True)
"""


def base(into: Path) -> None:
    """Write the tests' busybox as an archive that both engines load under docker.io's name."""
    with outer.Registry(into.parent / "registry") as registry:
        outer.push_busybox(registry)
        source = f"docker://{registry.address}/library/busybox:latest"
        outer.run(
            "skopeo", "copy", "--quiet", "--src-tls-verify=false", source, f"docker-archive:{into}:busybox:latest"
        )


def main() -> None:
    """Write the golden file."""
    with tempfile.TemporaryDirectory(prefix=f"{outer.NAME}-record-", dir=outer.CACHE) as directory:
        lab = Path(directory)
        base(lab / "base.tar")
        for name in ("runner.py", "lines.txt"):
            shutil.copy(ORACLE / name, lab)
        (lab / "start.py").write_text(START)
        dockerd.run_beside(lab, "/lab/start.py")
        version = (lab / "version").read_text().strip().partition("+")[0]
        found = json.loads((lab / "results.json").read_text())
    for answer in found:
        answer["stdout"], answer["stderr"] = masked(answer["stdout"]), masked(answer["stderr"])
    golden = ORACLE / f"docker-{version}.json"
    golden.write_text("[\n" + ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in found) + "\n]\n")
    print(f"{golden.relative_to(outer.ROOT)}: {len(found)} lines")


if __name__ == "__main__":
    main()
