"""A real browser for tests: the system's Chromium, installed where it is missing, driven by Playwright."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.helpers import debian

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """Runs a headless browser for as long as the block lasts."""
    path = debian.require("chromium", *NAMES)
    with sync_playwright() as playwright:
        # Chromium's sandbox refuses to run as root; the pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page in a window, and what it did beside showing itself."""

    page: Page
    messages: list[str]
    requests: list[str]

    @property
    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def violations(self) -> list[str]:
        """Returns what axe has against the page, folded parts included."""
        self.page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
        found = Axe().run(self.page).response["violations"]
        return [f"{item['id']}: {item['help']}: {item['nodes'][0]['html'][:200]}" for item in found]


@contextlib.contextmanager
def opened(browser: Browser, path: Path, width: int, scheme: str, *, scripts: bool = True) -> Iterator[Opened]:
    """Opens a file in a window of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    page = context.new_page()
    seen = Opened(page, [], [])
    page.on("console", lambda message: seen.messages.append(message.text))
    page.on("pageerror", lambda error: seen.messages.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto(path.as_uri())
    yield seen
    context.close()
