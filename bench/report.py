"""results.json, and what is made of it: the page's table and chart. Standard library only."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from bench.measuring import Row
    from bench.stage import Stage

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs/explanation/performance.md"
CHART = HERE / "results.svg"
BEGIN, END = "<!-- bench -->\n", "<!-- end of bench -->"
Results = dict[str, Any]


def machine(directory: Path) -> dict[str, str]:
    """What the figures were taken on."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    disk = subprocess.run(
        ["findmnt", "-no", "FSTYPE", "-T", str(directory)], capture_output=True, text=True, check=False
    ).stdout.strip()
    hybrid = Path("/sys/fs/cgroup/unified").is_dir()
    version2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return {
        "cpu": f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "disk": disk,
        "cgroups": "hybrid" if hybrid else "v2" if version2 else "v1",
    }


def versions(stage: Stage) -> dict[str, str]:
    """Of what was measured, asked of the peers that are up."""
    found = {}
    for title, peer in stage.up.items():
        # our docker tells docker's own version, as pipelines expect
        program = "podman" if peer.program == ["docker"] else peer.program[0]
        number = re.search(r"version ([^\s,]+)", peer.sh(f"{program} --version", check=False))
        found[title] = f"{Path(program).name} {number[1]}" if number else "unknown"
    return found


def keep(path: Path, row: Row, stage: Stage) -> None:
    """Put one row into the results, leaving the others as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results: Results = json.loads(path.read_text()) if path.exists() else {}
    results["date"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    results["machine"] = machine(stage.work)
    results["versions"] = {**results.get("versions", {}), **versions(stage)}
    results.setdefault("rows", {})[row.name] = row.to_json()
    raw = path.parent / "results" / f"{row.name}.json"  # an artefact of this run, not kept with the sources
    raw.parent.mkdir(exist_ok=True)
    raw.write_text(json.dumps(row.samples) + "\n")
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    aside.rename(path)


def line(row: Row) -> str:
    """One row for who watches."""
    data = row.to_json()
    series: Any = data["series"]
    medians = ", ".join(f"{name} {_number(entry['median'], row.unit)}" for name, entry in series.items())
    checks: Any = data["checks"]
    goals = "; ".join(f"{c['what']} {c['value']} ({c['goal']}: {'met' if c['met'] else 'MISSED'})" for c in checks)
    return f"{row.name}: {medians} | {goals}"


def _number(value: float, unit: str) -> str:
    if unit == "s" and value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"


def table(results: Results) -> str:
    """The Markdown table, with the machine it is from."""
    m = results["machine"]
    head = f"{m['cpu']}, {m['memory']}, kernel {m['kernel']}, {m['disk']}, cgroups {m['cgroups']}; {results['date']}."
    versions_of = ", ".join(f"{name}: {number}" for name, number in sorted(results["versions"].items()))
    lines = [
        *textwrap.wrap(head, 130),
        *textwrap.wrap(f"{versions_of}.", 130),
        "",
        "| measure | medians | figure | goal | met |",
        "|---|---|---|---|---|",
    ]
    for row in results["rows"].values():
        medians = "<br>".join(f"{name}: {_number(s['median'], row['unit'])}" for name, s in row["series"].items())
        figures = "<br>".join(f"{c['what']}: {c['value']:.2f}" for c in row["checks"])
        goals = "<br>".join(c["goal"] for c in row["checks"])
        met = "<br>".join("yes" if c["met"] else "**no**" for c in row["checks"])
        lines.append(f"| {row['measure']} | {medians} | {figures} | {goals} | {met} |")
    return "\n".join(lines) + "\n"


def chart(results: Results) -> str:
    """An SVG with a bar for every figure, as a part of its goal: left of the line is better than asked for."""
    bars = [
        (f"{row['measure']}: {c['what']}", c["limit"] / c["value"] if c["at_least"] else c["value"] / c["limit"], c)
        for row in results["rows"].values()
        for c in row["checks"]
    ]
    left, scale, step, widest = 520, 200, 22, 2.0
    height = 40 + step * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + scale * widest + 120:.0f} {height}">',
        "<style>text { font: 11px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left + scale}" y="14" text-anchor="middle">goal</text>',
    ]
    for n, (title, part, check) in enumerate(bars):
        y = 24 + n * step
        width = min(part, widest) * scale
        colour = "#3a7d44" if check["met"] else "#b3432b"
        parts += [
            f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(title[:88])}</text>',
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{step - 6}" fill="{colour}"/>',
            f'<text x="{left + width + 5:.1f}" y="{y + 12}">{check["value"]:.2f} ({escape(check["goal"])})</text>',
        ]
    parts.append(f'<line x1="{left + scale}" y1="18" x2="{left + scale}" y2="{height - 8}" stroke="black"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def render(path: Path) -> None:
    """Write the chart, and the table between the page's marks."""
    results = json.loads(path.read_text())
    CHART.write_text(chart(results))
    text = PAGE.read_text()
    if BEGIN in text:
        before, _, rest = text.partition(BEGIN)
        PAGE.write_text(before + BEGIN + table(results) + END + rest.partition(END)[2])
