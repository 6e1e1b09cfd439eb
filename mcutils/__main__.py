"""``python -m mcutils``: the command line, see `cli.main`."""

from .cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
