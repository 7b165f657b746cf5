"""Run the notebooks named on the command line with every change they offer; exit 1 if one does not go as promised."""

from __future__ import annotations

import sys
from pathlib import Path

import kernels  # noqa: F401  # kernels of their own kind while nbval runs beside

from chatkit import notebooks


def main(paths: list[str]) -> int:
    failures = 0
    for path in map(Path, paths):
        notebook = notebooks.read(path)
        offered = len(list(notebooks.variants(notebook)))
        if not offered:
            continue
        try:
            notebooks.Runner(notebook, path.parent, {}).run(with_variants=True)
            print(f"{path.stem}: {offered} changes")
        except Exception as error:
            failures += 1
            print(f"{path.stem}: {error}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
