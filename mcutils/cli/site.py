"""The site: pages, notebooks, claims, figures and reference as static HTML, built by Sphinx without a network."""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import BadInput, path_of
from ..files import BUILD, CLONE, PACKAGE, ROOT, folder_at, write_file
from . import output
from .output import shown

PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "environment.yml", "data/README.md")
NEEDS = ("sphinx", "myst_nb", "sphinx_book_theme", "latex2mathml")
# wing -> its title in the reference; the core's modules stand at the top of the package
WINGS = {
    "": "Core", "data": "Data", "models": "Models", "unlearning": "Unlearning", "measures": "Measures",
    "engine": "Engine", "paper": "The paper's ledger", "explorer": "Explorer", "teaching": "Teaching",
}  # fmt: skip
CONTENTS = {
    "Results": ["claims/index", "docs/results", "docs/protocol", "figures"],
    "Background": ["docs/coverage", "docs/related", "docs/teaching"],
    "Use it": ["docs/running", "docs/tables", "CONTRIBUTING", "data/README", "CHANGELOG", "api/index"],
}
# Long names break where the page ends.
CSS = "code, h1, h2, dt.sig, .sig-name { overflow-wrap: anywhere; } code .pre { white-space: normal; }\n"
# The theme's margin is navigation, and says so to a screen reader.
LANDMARK = """document.addEventListener("DOMContentLoaded", () => {
  const margin = document.querySelector(".bd-sidebar-primary");
  margin?.setAttribute("role", "navigation");
  margin?.setAttribute("aria-label", "Contents of the site");
});"""
# Opened from disk a page may read no other, so the search lists pages without their first lines.
FROM_DISK = "if (location.protocol === 'file:') DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;"
SETTINGS: dict[str, Any] = {
    "project": "mcutils",
    "author": "the mcutils authors",
    "extensions": ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mcutils.cli.site"],
    "html_theme": "sphinx_book_theme",
    "html_title": "Mode connectivity in machine unlearning",
    "nb_execution_mode": "off",
    "nb_ipywidgets_js": {},
    "nb_mime_priority_overrides": [("html", "application/vnd.jupyter.widget-view+json", None)],
    "nb_render_text_lexer": "none",
    "myst_heading_anchors": 3,
    "myst_enable_extensions": [],
    "autodoc_member_order": "bysource",
    "autodoc_typehints": "none",
    "exclude_patterns": ["figures/*.md", "_build"],
    "html_show_sourcelink": False,
    "html_math_renderer": "mathml",
    "html_context": {"default_mode": "auto"},
    "html_theme_options": {"navbar_persistent": []},
    "html_static_path": ["_static"],
    "html_css_files": ["site.css"],
    # The last: an application made anew in one process registers again.
    "suppress_warnings": ["myst.header", "toc.not_included", "ref.python", "app"],
}


def site_main(arguments: argparse.Namespace) -> int:
    """Run `site`."""
    out = folder_at(BUILD / "site" if arguments.out is None else path_of(arguments.out, "--out"), "site")
    found = build(out)
    print(f"{len(list(out.rglob('*.html')))} pages in {shown(out)}: open {shown(out / 'index.html')}")
    for line in found:
        print(f"mcutils: {line}")
    return 1 if found else 0


def build(out: Path, live: bool = True) -> list[str]:
    """Build the site into a folder; returns Sphinx's warnings, a broken link inside the site among them.

    With ``live`` there are ``live.html``, in which the network itself runs, the ``stories`` and the lesson's
    ``slides.html``, of the preset ``laptop``.

    Raises:
        BadInput: the package does not lie in a clone, the extra ``site`` is not installed, or the folder holds other
            files than a site as it was written.
    """
    if not CLONE:
        raise BadInput("the site is built from the repository: clone it, an installed package has no notebooks.")
    if lacking := [name for name in NEEDS if find_spec(name) is None]:
        raise BadInput(f"{', '.join(lacking)} is not installed: pip install -e '.[site]'.")
    before = output.noted(out)
    if not before and out.is_dir() and any(out.iterdir()):
        raise BadInput(f"{out} holds other files and nothing of a site: name a new folder.")
    output.check(out, before)
    with TemporaryDirectory() as scratch:
        source, made = Path(scratch) / "source", Path(scratch) / "site"
        stage(source)
        found = render(source, made)
        if live:
            from ..engine.study import study
            from ..explorer.live import export_live
            from ..teaching.lesson import editions
            from .stories import write_stories

            export_live(made / "live.html")
            write_stories(made / "stories", study())
            write_file(made / "slides.html", editions(slides=True)["slides.html"])
        files = {path.relative_to(made).as_posix(): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    output.write(out, files, exact=True)
    return found


def render(source: Path, out: Path) -> list[str]:
    """Turn a folder of pages into HTML; returns Sphinx's warnings, a line each."""
    from sphinx.application import Sphinx

    said = io.StringIO()
    (source / "_static").mkdir(exist_ok=True)
    with TemporaryDirectory() as trees:
        places = str(source), None, str(out), trees
        app = Sphinx(*places, "html", {**SETTINGS, **remote()}, status=None, warning=said, freshenv=True)
        app.build(force_all=True)
    plain_text = re.sub(r"\x1b\[[\d;]*m", "", said.getvalue())
    return [line for line in plain_text.splitlines() if line.strip()]


def stage(source: Path) -> None:
    """Write the pages that the site is built from: those of the repository at their places, and those made here."""
    from ..paper.claims import CLAIMS, read_ledgers
    from .pages import claim_page, claims_index, figures_page
    from .reproduce import find

    found = [*find(()), *(ROOT / "docs").glob("*.*"), *(ROOT / "figures").glob("*.*"), *(ROOT / name for name in PAGES)]
    for path in found:
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for path in [*source.glob("docs/*.md"), *source.glob("data/*.md")]:
        write_file(path, path.read_text(encoding="utf-8").replace("](../README.md", "](../index.md"))
    for path in source.glob("notebooks/*.ipynb"):  # Jupyter's links to headings keep their capitals
        text = path.read_text(encoding="utf-8")
        write_file(path, re.sub(r"\]\(#[\w-]+\)", lambda link: link[0].lower(), text))
    there = source / "notebooks", source / "figures"
    rows = read_ledgers(ROOT / "figures") if (ROOT / "figures" / "claims.csv").is_file() else []
    for claim in CLAIMS:
        page = claim_page(claim, [row for row in rows if row["id"] == claim], *there)
        write_file(source / "claims" / f"{claim}.md", page)
    write_file(source / "claims" / "index.md", claims_index(rows) + toctree(CLAIMS))
    listing = json.loads((ROOT / "figures" / "results.json").read_text(encoding="utf-8"))
    write_file(source / "figures.md", figures_page(listing, *there))
    for name, text in reference().items():
        write_file(source / "api" / name, text)
    write_file(source / "_static" / "site.css", CSS)
    write_file(source / "index.md", index((ROOT / "README.md").read_text(encoding="utf-8"), source))


def index(readme: str, source: Path) -> str:
    """The first page: the README, and behind it the table of contents for the margin."""
    own = {"Notebooks": sorted(f"notebooks/{path.stem}" for path in (source / "notebooks").glob("*.ipynb"))}
    walk = (
        '<a href="live.html"><b>Walk between two models here</b></a>: the network itself runs in your browser. '
        '<a href="stories/index.html">Six paths, six stories</a>, each with its question. '
        '<a href="slides.html">The lesson as slides</a>, with a landscape to be dragged.\n\n## '
    )
    text = re.sub(r"<!-- /?\w+ -->\n", "", readme).replace("## ", walk, 1)
    listed = set(re.findall(r"^## (\S+)$", (source / "figures.md").read_text(encoding="utf-8"), re.MULTILINE))

    def linked(found: re.Match[str]) -> str:  # a picture's own file would be a download
        return f"{found[1]}(figures.md#{found[2]})" if found[2] in listed else found[0]

    text = re.sub(r"(?<!!)(\[[^\[\]]*\])\(figures/(\w+)\.png\)", linked, text)
    return "\n".join([text, *(toctree(pages, title) for title, pages in {**own, **CONTENTS}.items())])


def toctree(pages: Iterable[str], caption: str = "") -> str:
    """A table of contents that is shown in the margin alone."""
    lines = ["", "```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), "", *pages, "```", ""]
    return "\n".join(lines)


def reference() -> dict[str, str]:
    """Pages of the reference, from the docstrings: what ``import mcutils as mc`` gives, then a page for each wing."""
    pages = {"mcutils": ("The package", ["mcutils"], "    :members:\n    :imported-members:\n")}
    for wing, title in WINGS.items():
        paths = sorted((PACKAGE / wing).glob("[!_]*.py"))
        names = [".".join(filter(None, ("mcutils", wing, path.stem))) for path in paths]
        pages[wing or "core"] = title, names, "    :members:\n"
    texts, listed = {}, "".join(f"- [{title}]({name}.md)\n" for name, (title, _, _) in pages.items())
    for name, (title, modules, members) in pages.items():
        told = [f"## {one}\n\n```{{eval-rst}}\n.. automodule:: {one}\n{members}```" for one in modules]
        texts[f"{name}.md"] = "\n\n".join([f"# {title}", *told]) + "\n"
    return texts | {"index.md": f"# Reference\n\nFrom the docstrings.\n\n{listed}{toctree(pages)}"}


def setup(app: Any) -> dict[str, Any]:
    """What the site adds to Sphinx: docstrings as prose, formulas without a script, a search that works from disk."""
    app.connect("autodoc-process-docstring", plain)
    for body in (LANDMARK, FROM_DISK):
        app.add_js_file(None, body=body)
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _formula(writer: Any, node: Any) -> None:
    """A formula as MathML, which browsers draw without a script."""
    from docutils.nodes import SkipNode, math
    from latex2mathml.converter import convert

    writer.body.append(convert(node.astext(), display="inline" if isinstance(node, math) else "block"))
    raise SkipNode


def plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are prose with `names` in backticks: what reStructuredText would take for its own is escaped."""
    code = math = False
    for k, line in enumerate(lines):
        code = line.startswith(">>>") or (code and bool(line.strip()))
        math = line.strip().startswith(".. math") or (math and (not line.strip() or line.startswith("    ")))
        if not code and not math and not line.lstrip().startswith((":", "..")):
            parts = re.split(r"(:math:`[^`]+`|``.+?``|`[^`]+`)", line)
            parts[::2] = [re.sub(r"([*|\\]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
            parts[1::2] = [part if part.startswith(":") else f"``{part.strip('`')}``" for part in parts[1::2]]
            lines[k] = "".join(parts)


def remote() -> dict[str, Any]:
    """Links to the repository, Binder and Colab, from the remote that the clone itself has on GitHub; none without."""
    url = _git("config", "--get", "remote.origin.url")
    branch = _git("symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/") or "main"
    found = re.fullmatch(r"(?:https://|git@|ssh://git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?", url)
    if found is None:
        return {}
    hosts = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}
    options = {
        "repository_url": f"https://github.com/{found[1]}",
        "repository_branch": branch,
        "use_repository_button": True,
        "launch_buttons": {**hosts, "notebook_interface": "jupyterlab"},
        "path_to_docs": "",
    }
    return {"html_theme_options": SETTINGS["html_theme_options"] | options}


def _git(*arguments: str) -> str:
    """What git says of the clone; nothing where there is no git or no answer."""
    try:
        asked = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(asked, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
