"""A registry that is not there yet."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import outer


@contextlib.contextmanager
def starting(registry: outer.Registry, seconds: float) -> Iterator[None]:
    """Start it so much later, while the block runs; its thread stays, for with that its process would end."""
    done = threading.Event()

    def live() -> None:
        time.sleep(seconds)
        with registry:
            done.wait()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
