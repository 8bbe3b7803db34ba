"""What a build leaves for Jenkins to archive: image.json, image.env, JUnit results."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from podman_agent.errors import VolumeError
from podman_agent.files import replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from podman_agent.builds.run import Outcome


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        VolumeError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, text)
    except OSError as error:
        what = f"cannot write {path}"
        raise VolumeError(what, error.strerror or "") from error


def image_json(outcomes: Sequence[Outcome]) -> str:
    """Give all results as JSON, one object per target.

    Fields: `target`, `status`, `error`, `image_id`, `digest`, `tags`, `images` (name@digest),
    `seconds`, `attempts`, `cached_steps`, `steps`, and per push `pushed`, `skipped`, `bytes`.
    """
    return json.dumps([_row(o) for o in outcomes], indent=2) + "\n"


def _row(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {"target": outcome.target, "status": outcome.status}
    if outcome.error:
        row["error"] = outcome.error
    if outcome.build:
        row.update(dataclasses.asdict(outcome.build))
    if outcome.pushes:
        row["digest"] = outcome.pushes[0].digest
        row["images"] = [f"{p.image}@{p.digest}" for p in outcome.pushes]
        row["pushes"] = [
            {
                "image": p.image,
                "digest": p.digest,
                "pushed": len(p.pushed),
                "skipped": len(p.skipped),
                "bytes": p.bytes_pushed,
                "seconds": p.seconds,
                "attempts": p.attempts,
            }
            for p in outcome.pushes
        ]
    row["seconds"] = outcome.seconds
    return row


def env_file(outcomes: Sequence[Outcome]) -> str:
    """Give NAME=VALUE lines for a later step to source: IMAGE, IMAGE_DIGEST, IMAGE_ID.

    With several targets each has its own, `IMAGE_<TARGET>`, and the plain names are the last one's.
    """
    lines: list[str] = []
    done = [o for o in outcomes if o.build]
    for outcome in done:
        suffix = "_" + re.sub(r"\W", "_", outcome.target).upper()
        values = _values(outcome)
        if len(done) > 1:
            lines += [f"{k}{suffix}={v}" for k, v in values.items()]
        if outcome is done[-1]:
            lines += [f"{k}={v}" for k, v in values.items()]
    return "".join(f"{line}\n" for line in lines)


def _values(outcome: Outcome) -> dict[str, str]:
    values = {"IMAGE_ID": outcome.build.image_id} if outcome.build else {}
    if outcome.pushes:
        first = outcome.pushes[0]
        values["IMAGE_DIGEST"] = first.digest
        values["IMAGE"] = f"{first.image.rpartition(':')[0]}@{first.digest}"
    elif outcome.build and outcome.build.tags:
        values["IMAGE"] = outcome.build.tags[0]
    return values


def junit(outcomes: Sequence[Outcome]) -> str:
    """Give JUnit XML: a test case per build and per push.

    Format: https://github.com/testmoapp/junitxml, as Jenkins' junit step reads it.
    """
    suite = ET.Element("testsuite", name="podman-agent build")
    for outcome in outcomes:
        seconds = outcome.build.seconds if outcome.build else outcome.seconds
        case = _case(suite, outcome.target, "build", seconds)
        if outcome.status == "skipped":
            ET.SubElement(case, "skipped", message=_legal(outcome.error))
        elif not outcome.build:
            ET.SubElement(case, "failure", message=_legal(outcome.error))
        for push in outcome.pushes:
            _case(suite, outcome.target, f"push {push.image}", push.seconds)
        if outcome.status == "failed" and outcome.build:
            case = _case(suite, outcome.target, "push", 0)
            ET.SubElement(case, "failure", message=_legal(outcome.error))
    for name, tag in (("tests", "testcase"), ("failures", ".//failure"), ("skipped", ".//skipped")):
        suite.set(name, str(len(suite.findall(tag))))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _case(suite: ET.Element, target: str, name: str, seconds: float) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=target, name=name, time=f"{seconds:.3f}")


def _legal(text: str) -> str:
    return re.sub(r"[^\t\n\r\x20-\uFFFD]", "", text)
