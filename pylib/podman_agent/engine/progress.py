"""Shows events: bars on a terminal, one line a step in a log."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bars
from rich.text import Text

if TYPE_CHECKING:
    from podman_agent.engine.events import Event


class Progress:
    """A listener for `Engine` that prints; a context manager.

    Args:
        stream: Where to; stdout is left for results.
        style: `bars`, `lines`, `quiet`, or `auto`: bars if the stream is a terminal.
    """

    def __init__(self, stream: TextIO, style: str = "auto") -> None:
        self._console = Console(file=stream, soft_wrap=True, highlight=False)
        if style == "auto":
            style = "bars" if self._console.is_terminal else "lines"
        self._style = style
        self._lock = threading.Lock()
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._said: set[tuple[str, str, str]] = set()
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=self._console,
            transient=True,
            disable=style != "bars",
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show one event; safe from several threads."""
        if self._style == "quiet":
            return
        with self._lock:
            if event.kind == "layer":
                self._layer(event)
            else:
                self._line(event, event.text)

    def _line(self, event: Event, text: str) -> None:
        # Text, not markup: a build's output may have [brackets].
        style = {"step": "bold", "done": "green"}.get(event.kind, "")
        self._console.print(Text(f"[{event.what}] {text}", style=style))

    def _layer(self, event: Event) -> None:
        key = (event.what, event.layer)
        if self._style == "bars" and event.state == "copying" and event.total:
            if key not in self._tasks:
                name = f"{event.what} {event.layer}"
                self._tasks[key] = self._bars.add_task(name, total=event.total)
            self._bars.update(self._tasks[key], completed=event.current)
        if event.state == "copying":
            return
        if key in self._tasks:
            self._bars.remove_task(self._tasks.pop(key))
        if (*key, event.state) not in self._said:  # a terminal's frames repeat
            self._said.add((*key, event.state))
            word = "already there" if event.state == "skipped" else "copied"
            self._line(event, f"layer {event.layer} {word}")
