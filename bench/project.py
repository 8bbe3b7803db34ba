"""A project to build, the same on every machine: a multi-stage Dockerfile of 40 steps, C sources, 300 MB of files."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LIBRARIES = 8
STEPS = 40
UNIT = """int {name}_{n}(int x) {{
    int table[64];
    for (int i = 0; i < 64; i++)
        table[i] = (x * {a} + i * {b}) % {c};
    for (int round = 0; round < {n} + 3; round++)
        for (int i = 1; i < 64; i++)
            table[i] ^= table[i - 1] + round;
    return table[63];
}}
"""
MAIN = """#include <stdio.h>
{declarations}
static const char *version = "{version}";
int main(void) {{ printf("%s %d\\n", version, {calls}); return 0; }}
"""


def dockerfile() -> str:
    """The Dockerfile: what changes seldom first, as people write it."""
    build = ["ARG BASE", "FROM ${BASE} AS build", "ENV CFLAGS=-O2", "WORKDIR /src", "COPY tools tools"]
    build += ["RUN sh tools/check"]
    for n in range(LIBRARIES):
        build += [f"COPY lib{n} lib{n}", f"RUN sh tools/library lib{n}"]
    build += ["COPY app app", "RUN sh tools/link app", "RUN ./app.bin > /version", "RUN strip app.bin"]
    final = ["FROM ${BASE} AS final", "LABEL project=bench", "WORKDIR /srv", "COPY assets assets", "COPY small small"]
    final += ["RUN find small -type f | wc -l > /files", "RUN cp -r small/d0 /cache", "ENV LANG=C.UTF-8"]
    final += ["COPY --from=build /src/app.bin /usr/local/bin/app", "COPY --from=build /version /version"]
    final += ["RUN app | cmp - /version", "EXPOSE 8080"]
    final += ["USER 1000", 'CMD ["app"]']
    lines = build + final
    assert len(lines) == STEPS, len(lines)
    return "\n".join(lines) + "\n"


def write(where: Path, *, megabytes: int = 300, files: int = 4000) -> None:
    """Write the project.

    Args:
        where: Its directory, which is made.
        megabytes: Size of the large and the small files together.
        files: How many small files.
    """
    pick = random.Random(8)
    (where / "tools").mkdir(parents=True)
    (where / "Dockerfile").write_text(dockerfile())
    (where / "tools/check").write_text("gcc --version && make --version\n")
    (where / "tools/library").write_text(
        "set -e; cd $1; for f in *.c; do gcc $CFLAGS -c $f; done; ar rcs ../$1.a *.o; rm *.o\n"
    )
    (where / "tools/link").write_text("set -e; gcc $CFLAGS -o app.bin $1/main.c *.a\n")
    for n in range(LIBRARIES):
        (where / f"lib{n}").mkdir()
        for unit in range(12):
            text = UNIT.format(name=f"f{n}", n=unit, a=pick.randrange(9, 99), b=pick.randrange(9, 99), c=9973)
            (where / f"lib{n}/u{unit}.c").write_text(text)
    (where / "app").mkdir()
    change_line(where, 0)
    (where / "small").mkdir()
    for n in range(files):
        directory = where / f"small/d{n % 40}/e{n % 7}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{n}.txt").write_bytes(pick.randbytes(pick.randrange(500, 8000)).hex().encode())
    (where / "assets").mkdir()
    large = max(megabytes - files * 8500 // 1000000, 5)
    for n in range(large // 5):
        (where / f"assets/{n}.bin").write_bytes(pick.randbytes(2_500_000) + bytes(2_500_000))


def change_line(where: Path, number: int) -> None:
    """Change one line of the source that is compiled last."""
    names = [f"f{n}_{u}" for n in range(LIBRARIES) for u in range(12)]
    text = MAIN.format(
        declarations="".join(f"int {name}(int);\n" for name in names),
        version=f"version {number}",
        calls=" + ".join(f"{name}({i})" for i, name in enumerate(names)),
    )
    (where / "app/main.c").write_text(text)
