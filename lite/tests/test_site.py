"""The built site as files: small enough, whole, and nothing in it that points elsewhere."""

from __future__ import annotations

import json

from place import PROJECT

from chatkit import notebooks

LOCAL = "./static/pyodide/pyodide.mjs"


def settings(site):
    config = json.loads((site / "jupyter-lite.json").read_text(encoding="utf-8"))["jupyter-config-data"]
    return config["litePluginSettings"]["@jupyterlite/pyodide-kernel-extension:kernel"]


def test_the_site_is_at_most_50_mb(site):
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    assert size <= 50e6


def test_the_kernel_is_the_sites_own_and_looks_nowhere_else(site):
    kernel = settings(site)
    assert kernel["pyodideUrl"] == LOCAL
    assert (site / LOCAL).is_file()
    assert kernel["disablePyPIFallback"] is True
    for config in site.rglob("jupyter-lite.json"):
        assert "://cdn" not in config.read_text(encoding="utf-8"), config


def test_the_lock_lists_the_wheels_that_are_there_and_no_others(site):
    folder = site / "static" / "pyodide"
    packages = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))["packages"]
    assert {package["file_name"] for package in packages.values()} == {path.name for path in folder.glob("*.whl")}
    assert set(settings(site)["loadPyodideOptions"]["packages"]) <= set(packages)


def test_nothing_of_a_wheel_that_a_page_cannot_run_is_there(site):
    names = {path.name.partition("-")[0] for path in (site / "static" / "pyodide").glob("*.whl")}
    assert not names & {"tiktoken", "numpy", "pandas", "matplotlib", "PyYAML"}


def test_each_lesson_is_there_unrun_and_says_what_is_different(site):
    for lesson in notebooks.lessons(PROJECT):
        book = notebooks.read(site / "files" / lesson.name)
        assert "browser.md" in book.cells[0].source
        assert not any(cell.get("outputs") for cell in book.cells)
        assert len(book.cells) == len(notebooks.read(lesson).cells)
    assert (site / "files" / "browser.md").is_file()
