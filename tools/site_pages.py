"""What the documentation site has beside docs/: its first page, the API, and files of the repository that pages name.

A hook of mkdocs (https://www.mkdocs.org/user-guide/configuration/#hooks), named in mkdocs.yml. On GitHub a page has
``../../jenkins/pods/x.yaml``; on the site that file lies at ``files/jenkins/pods/x.yaml``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# page of the site -> file of the repository
PAGES = {"index.md": "README.md", "bench/README.md": "bench/README.md"}
API = """# Library API

::: podman_agent
::: podman_agent.engine
::: podman_agent.errors
"""
SECTIONS = {"Tutorial": "tutorial", "How to": "how-to", "Reference": "reference", "Explanation": "explanation"}
MORE = {"Reference": ["reference/api.md"], "Explanation": ["bench/README.md"]}
_LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List every page of docs/ in its section, by its own heading."""
    config.nav = [{"Home": "index.md"}]
    for title, folder in SECTIONS.items():
        pages = sorted(f"{folder}/{path.name}" for path in (ROOT / "docs" / folder).glob("*.md"))
        config.nav.append({title: [*pages, *MORE.get(title, [])]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and every file that a page links to outside docs/."""
    files.append(File.generated(config, "reference/api.md", content=API))
    sources = {page: ROOT / source for page, source in PAGES.items()}
    sources |= {page.src_uri: Path(page.abs_src_path) for page in files.documentation_pages() if page.abs_src_path}
    linked = set()
    for source in sources.values():
        for _, link in _LINK.findall(source.read_text(encoding="utf-8")):
            target = (source.parent / link).resolve()
            if target.is_dir() and target.is_relative_to(ROOT):
                inside = sorted(path for path in target.iterdir() if path.is_file())
                linked.update(inside)
                listing = "\n".join(f"- [{path.name}]({_copied(path.name)})" for path in inside)
                folder = target.relative_to(ROOT)
                files.append(File.generated(config, f"files/{folder}/index.md", content=f"# {folder}\n\n{listing}\n"))
            elif target.is_file() and not _place(target):
                linked.add(target)
    for target in sorted(linked):
        name = f"files/{_copied(str(target.relative_to(ROOT)))}"
        files.append(File.generated(config, name, content=target.read_bytes()))
    for page, name in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links of the repository to where the site has them."""
    del config, files
    uri = page.file.src_uri
    source = ROOT / PAGES.get(uri, f"docs/{uri}")

    def lead(match: re.Match[str]) -> str:
        target = (source.parent / match[2]).resolve()
        if (page.file.generated_by and uri not in PAGES) or not target.is_relative_to(ROOT) or not target.exists():
            return match[0]  # ours, or mkdocs says so
        name = str(target.relative_to(ROOT))
        place = f"files/{name}/index.md" if target.is_dir() else _place(target) or f"files/{_copied(name)}"
        return match[1] + os.path.relpath(place, Path(uri).parent)

    return _LINK.sub(lead, markdown)


def _copied(name: str) -> str:
    """A page is made of what ends in .md."""
    return f"{name}.txt" if name.endswith(".md") else name


def _place(target: Path) -> str:
    """Where the site has a file as it is; empty when it is to be copied."""
    name = str(target.relative_to(ROOT))
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    return next((page for page, source in PAGES.items() if source == name), "")
