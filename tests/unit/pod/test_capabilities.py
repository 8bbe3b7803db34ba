"""CapEff as the kernel writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.pod import capabilities

if TYPE_CHECKING:
    from pathlib import Path


def test_the_mask_is_read_as_names(tmp_path: Path) -> None:
    """What containerd gives a container whose template names none (`capsh --decode=00000000a80425fb`)."""
    (tmp_path / "status").write_text("Name:\tcat\nCapPrm:\t0\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t1\n")
    held = capabilities.effective(tmp_path)
    assert held == (
        *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SYS_CHROOT", "MKNOD", "SETFCAP"),
    )
    assert capabilities.includes(held, "SETUID", "SETGID")
    assert not capabilities.includes(held, "SETUID", "SYS_ADMIN")
    assert capabilities.status(tmp_path)["NoNewPrivs"] == "1"
