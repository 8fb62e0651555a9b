"""A page in a headless Chromium, which notes what goes wrong in it and what it asks for."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_until

NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Opened:
    """An open page: errors of its script and its console, and every request that is not for the page itself."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def browser() -> Iterator[Any]:
    """The browser; the test is skipped without one, and without the package that drives it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


def open_page(browser: Any, target: Path | str, fragment: str = "", **options: Any) -> Opened:
    """The file or address in a browser of its own; `options` are of the context: viewport, color_scheme, …"""
    address = target if isinstance(target, str) else target.resolve().as_uri()
    page = browser.new_context(**options).new_page()
    found = Opened(page)
    page.on("console", lambda message: found.errors.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.errors.append(f"error: {error}"))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(address + fragment)
    found.requests.remove(address + fragment)
    return found


def wait_for(page: Any, condition: str) -> None:
    """Wait until a condition in JavaScript holds; Playwright's own waiting breaks the page's policy."""
    wait_until(lambda: page.evaluate(condition), condition)
