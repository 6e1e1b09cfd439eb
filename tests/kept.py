"""The files of results in a store, and what tests do to them."""

import hashlib
import json
import os

from mcutils.engine.specs import key


def file_of(store, spec):
    return store.folder / f"{key(spec)}{spec.form.suffix}"


def note_of(store, spec):
    return store.folder / f"{key(spec)}.json"


def listing(folder):
    """Every file of a folder, the hidden ones too."""
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()
    }


def touched(path):
    """Make a change visible whatever the resolution of the file system's clock."""
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))


def forge(path):
    """Make the provenance agree with whatever is in the file: who can write the one can write the other."""
    note = path.with_suffix(".json")
    table = {**json.loads(note.read_text()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    note.write_text(json.dumps(table))
    touched(path)


def cut(path):
    """Cut a file short, which its checksum then tells, if nobody forges it."""
    path.write_bytes(path.read_bytes()[:-40])
