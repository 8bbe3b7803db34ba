"""``make bench``: everything on one machine in one go, or what ``--only`` names, merged into bench/results.json."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import host
import outer
import runs

from bench import ROOT, builds, containers, crowd, disk, growth, report, start, transfer
from bench.measuring import say
from bench.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.measuring import Row

# in the order in which they share peers
GROUPS: dict[str, Callable[[Stage], Iterator[Row]]] = {
    "shim": containers.shim_cost,
    "containers": containers.run_and_exec,
    "builds": builds.builds,
    "transfer": transfer.transfer,
    "start": start.new_pods,
    "builds-at-once": crowd.builds_at_once,
    "pods-at-once": crowd.pods_at_once,
    "growth-layers": growth.layers,
    "growth-images": growth.images,
}


def main() -> int:
    """Measure, write the results as each is known, then the table and the chart."""
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=tuple(GROUPS), metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="small and once: whether it works, not how fast")
    parser.add_argument(
        "--results", type=Path, help="default: bench/results.json; with --quick .cache/bench/quick.json"
    )
    parser.add_argument("--render", action="store_true", help="only write the table and the chart of what there is")
    args = parser.parse_args()
    results = args.results or (ROOT / ".cache/bench/quick.json" if args.quick else ROOT / "bench/results.json")
    shown = results == ROOT / "bench/results.json"
    failed = []
    began = time.monotonic()
    if not args.render:
        try:
            with runs.signals_as_exceptions(), disk.own() as work, Stage(work, quick=args.quick) as stage:
                for name in args.only or GROUPS:
                    say(f"{name} …")
                    at = time.monotonic()
                    try:
                        for row in GROUPS[name](stage):
                            report.keep(results, row, stage)
                            say(report.line(row))
                    except (outer.OuterError, host.HostError, OSError, RuntimeError):
                        traceback.print_exc()
                        failed.append(name)
                    say(f"{name} took {time.monotonic() - at:.0f} s")
        except (outer.OuterError, host.HostError, OSError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        finally:
            outer.unmount_home()
    if shown:
        report.render(results)
    say(f"{time.monotonic() - began:.0f} s" + (f", failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
