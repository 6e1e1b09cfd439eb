"""A built wheel works in an empty folder: data, endpoints and the explorer come with it."""

import os
import subprocess
import sys
import zipfile

import pytest

from mcutils.files import CLONE, ROOT

pytestmark = pytest.mark.skipif(not CLONE, reason="the wheel is built from a clone")

SCRIPT = """
import pathlib, mcutils as mc
from mcutils.files import BUILD, CLONE
assert not CLONE and "site" in mc.__file__, mc.__file__
task = mc.load_task("fashion-mnist", forget=0.1)
end = mc.load("npo", seed=42)
study = mc.study("laptop")
found = study.table("paths", study.profile(study.path(study.unlearned("npo", 42), study.unlearned("npo", 87))))
assert mc.results("paths").groupby("method").eps_chord.median().notna().all()
shown = mc.explore(study)
assert shown is not None and not pathlib.Path(BUILD).is_absolute()
print(len(task.rows("forget")), end.method, len(found), [p.name for p in pathlib.Path().iterdir()])
"""


def test_a_built_wheel_works_in_an_empty_folder(tmp_path):
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = (tmp_path / "dist").glob("mcutils-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    keep = {k: v for k, v in os.environ.items() if not k.startswith("MCUTILS")}
    environment = {**keep, "PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path / "empty")}
    asked = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(asked, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2].startswith("900 npo 1"), done.stdout
    assert not list((tmp_path / "site").rglob("*.lock")), "nothing is written into the installed package"
