"""Less to compute where a test starts programs of its own: settings with fewer steps, methods or images."""

import re
import shutil

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
