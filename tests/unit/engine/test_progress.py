"""Progress in a log and on a terminal."""

from __future__ import annotations

import io

from podman_agent.engine.events import Event
from podman_agent.engine.progress import Progress


def test_in_a_log_each_step_and_layer_is_one_line() -> None:
    out = io.StringIO()
    with Progress(out) as progress:
        progress(Event("step", "app", "STEP 1/2: FROM [bold]x[/bold]"))
        for state in ("copying", "done", "done"):
            progress(Event("layer", "app", "", state=state, layer="abc", current=1, total=2))
    assert out.getvalue() == "[app] STEP 1/2: FROM [bold]x[/bold]\n[app] layer abc copied\n"


def test_bars_and_quiet() -> None:
    out = io.StringIO()
    with Progress(out, "bars") as progress:
        progress(Event("layer", "app", "", state="copying", layer="abc", current=1, total=2))
        progress(Event("layer", "app", "", state="skipped", layer="abc"))
    assert "layer abc already there" in out.getvalue()
    quiet = io.StringIO()
    with Progress(quiet, "quiet") as progress:
        progress(Event("log", "app", "x"))
    assert quiet.getvalue() == ""
