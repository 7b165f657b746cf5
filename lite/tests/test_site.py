"""The built site as files: small enough, whole, and nothing in it that points elsewhere."""

from __future__ import annotations

import json

from place import PROJECT

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


def test_what_the_browser_runs_is_the_version_that_is_tested_elsewhere(site):
    folder = site / "static" / "pyodide"
    packages = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))["packages"]
    pins = (line.split(" ;")[0].split("==") for line in constraints() if "==" in line)
    pinned = {name.lower().replace("_", "-"): version for name, version in pins}
    for name in packages.keys() & pinned.keys() - {"jedi", "ipykernel", "widgetsnbextension"}:
        assert packages[name]["version"] == pinned[name], name


def constraints():
    return (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_the_page_speaks_korean(site):
    translation = json.loads((site / "api" / "translations" / "ko_KR.json").read_text(encoding="utf-8"))
    assert len(translation["data"]) > 1
    overrides = (site / "lab" / "schemas" / "all.json").exists() or (site / "jupyter-lite.json").read_text("utf-8")
    assert overrides
