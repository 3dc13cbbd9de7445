"""Take the pictures of the page with headless Chromium: ``python docs/images/page.py``. Needs the dev extra."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

PROMPTS = (
    "a large striped orange ring on a purple background",
    "a large yellow star on a navy background",
    "a small white heart on the top left and a teal square on the bottom right on a pink background",
    "a medium outlined #367588 triangle on the right on a white background",
    "a large red circle on a #203040 background",
    "a blue star on a white background",
)
RUNNING, WAITING = "a green diamond on a #f0e0c0 background", ("a teal square on a pink background", "a white heart")
SLOW_MS = 180_000
PLACE = Path(__file__).parent
LOOKS = (("page-light", "light", 1280, 940), ("page-dark", "dark", 1280, 940), ("page-phone", "light", 390, 844))


@contextmanager
def served(*options: str) -> Iterator[str]:
    """A server of its own, and its URL."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "limner",
            "serve",
            "--port",
            "0",
            "--data",
            folder,
            "--device",
            "cpu",
            *options,
        ]
        settings = os.environ | {"LIMNER_CACHE_DIR": f"{folder}/cache"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline().strip().removeprefix("ready: ")
            finally:
                process.terminate()


def run(url: str, prompt: str, query: str = "", **parameters: Any) -> None:
    """Run the first template."""
    body = json.dumps({"prompt": prompt, "seed": 7, **parameters}).encode()
    request = urllib.request.Request(f"{url}/v1/run/text_to_image{query}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        answer.read()


def look(browser: Any, url: str, name: str, scheme: str, width: int, height: int) -> None:
    """One picture of the page, while a job runs."""
    sizes = {"viewport": {"width": width, "height": height}, "device_scale_factor": 1.5 if width > 500 else 2}
    context = browser.new_context(**sizes, color_scheme=scheme, is_mobile=width < 500)
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    page.goto(f"{url}/run")
    page.locator("#plan-body .verdict").wait_for()
    page.get_by_label("Prompt", exact=True).fill(RUNNING)
    page.get_by_label("Seed", exact=True).fill("7")
    page.locator("#running canvas[data-previews]").wait_for()
    page.locator("#gallery img").nth(len(PROMPTS) - 1).wait_for(state="attached")
    page.wait_for_timeout(1500)
    if width < 500:
        page.locator("#now").scroll_into_view_if_needed()
        page.evaluate("document.querySelector('#now').scrollIntoView()")
        page.wait_for_timeout(1000)
    page.screenshot(path=PLACE / f"{name}.png")
    context.close()


def main() -> None:
    """Fill a server with a few pictures, and look at it in light, in dark and on a phone."""
    with served() as url, sync_playwright() as playwright:
        for prompt in reversed(PROMPTS):
            run(url, prompt, "?wait=1")
        run(url, RUNNING, steps=1000)
        for prompt in WAITING:
            run(url, prompt)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, scheme, width, height in LOOKS:
            look(browser, url, name, scheme, width, height)
        browser.close()


if __name__ == "__main__":
    main()
