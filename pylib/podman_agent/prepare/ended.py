"""What a build that a signal ended leaves in the store of this container."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from podman_agent.prepare import state
from podman_agent.store import gc_held


def clear_away(since: float = 0.0) -> None:
    """Remove the containers of builds that have ended; podman shows them to nobody.

    Args:
        since: When the build began (Unix seconds): older ones may be of `buildah from`, whose user still wants them.

    Raises:
        VolumeError: No plan was made in this container.
    """
    if podman := shutil.which("podman"):
        gc_held.clear_dead_builds(podman, Path(json.loads(state.stored("facts.json"))["graphroot"]), since)
