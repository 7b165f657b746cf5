"""Where the built site is, and the path below which the tests serve it."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SITE = PROJECT / "dist" / "lite"
PATH = "courses/chat"
