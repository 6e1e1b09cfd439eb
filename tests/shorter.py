"""Settings of tests: less to compute where programs start, and made-up ones where originals have a forget set each."""

import contextlib
import re
import shutil

from mcutils import settings
from mcutils.settings import FOLDER


def settings_of(folder, changes):
    """A plugin, to be named in MCUTILS_PLUGINS, by which a program reads changed copies of the settings.

    Args:
        folder: where the copies and the plugin go.
        changes: file of settings -> pairs of a regular expression, matched line by line, and what takes its place.
    """
    copies = shutil.copytree(FOLDER, folder / "settings", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name, pairs in changes.items():
        path = copies / f"{name}.toml"
        text = path.read_text(encoding="utf-8")
        for pattern, new in pairs:
            text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
            assert count, f"{pattern} is not in {name}.toml"
        path.write_text(text, encoding="utf-8")
    plugin = folder / "shorter_settings.py"
    plugin.write_text(
        f"from pathlib import Path\nimport mcutils.settings\nmcutils.settings.FOLDER = Path({str(copies)!r})\n"
    )
    return plugin


@contextlib.contextmanager
def settings_in(folder, monkeypatch, eight):
    """While it lasts, settings are read from a folder; this text is those of originals with a forget set each."""
    (folder / "fashion-mnist.convnet.eight.toml").write_text(eight)
    for name in ("presets", "default", "fashion-mnist.convnet"):
        shutil.copy(FOLDER / f"{name}.toml", folder)
    monkeypatch.setattr(settings, "FOLDER", folder)
    settings._read.cache_clear()
    yield
    settings._read.cache_clear()
