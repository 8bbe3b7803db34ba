"""A volume without a free byte: what a dead build wrote goes first, then the records can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from podman_agent.store import claim, layout
from store.conftest import end
from store.fabricate import small

mount = Path(sys.argv[1])
subprocess.run(["mount", "-o", "loop", f"{mount}.ext4", mount], check=True)

def ours(name, key=None):
    run = mount.with_name(name)
    return claim(mount, key=key, env={"HOSTNAME": name}, legacy=mount / "storage", run=run)

first = ours("a")
end(mount)
first.graphroot.rmdir()
fabric = small(first.graphroot)
fabric.container(fabric.images[1]["id"], fabric.layers[1]["id"])
fabric.save()
own = first.graphroot / "overlay" / fabric.layers[-1]["id"] / "diff"
(own / "written").write_bytes(bytes(4 << 20))
(own / "directory").mkdir()
(first.tmp / "storage123").write_bytes(bytes(1 << 20))
with open(mount / "filler", "wb", buffering=0) as file:
    for size in (1 << 20, 4096, 1):
        try:
            while True:
                file.write(bytes(size))
        except OSError:
            pass
assert os.statvfs(mount).f_bavail == 0
again = ours("b")
print(again.store, [f.name for f in own.parent.parent.glob(own.parent.name)], os.statvfs(mount).f_bavail > 1000)
print((first.graphroot / "overlay-containers/containers.json").read_text(), again.note)
end(mount)
subprocess.run(["umount", "-l", mount], check=True)
"""


def test_a_claim_on_a_full_volume_frees_what_the_dead_build_wrote(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    with (tmp_path / "volume.ext4").open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", tmp_path / "volume.ext4"], check=True)
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", SCRIPT, tmp_path / "volume"],
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}/pylib"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    store, containers = done.stdout.splitlines()
    assert store == "default/0 [] True"
    assert containers.startswith("[] ")
    assert "1 dead container" in containers
