"""A real headless Chromium; where there is none, the summary of the tests says so and how to get it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""The first one draws pages as the others do, without a browser's own windows: half of the time."""

HOW = (
    "the browser tests did NOT run: there is no Chromium on this machine. "
    "Get one with: apt-get install chromium-headless-shell (Debian), or .venv/bin/playwright install chromium; "
    "or name one in the variable CHROMIUM"
)


def find_chromium() -> str | None:
    """Return the path of a Chromium: the variable CHROMIUM, the system's, or the one of Playwright."""
    from playwright.sync_api import sync_playwright

    named = os.environ.get("CHROMIUM")
    if named:
        return named
    for name in NAMES:
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """The running browser."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        pytest.skip(HOW)
    # Chromium's own sandbox needs rights that root in a container does not have; the page is our own.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()
