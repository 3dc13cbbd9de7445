"""The page, as people use it: in a browser, with the embedded model."""

from __future__ import annotations

import base64
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="it drives the browser")
from playwright.sync_api import expect

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from browser import SLOW_MS, chromium, opened  # found through the line above
from test_serve import ask, served

ROOT = Path(__file__).parents[2]
PROMPT = "a blue star on a white background"
LONG = 1000
"""Steps of a job that is stopped before it ends."""
REFUSED = "the server responded with a status of 4"
DROP = """([name, content, selector]) => {
    const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type: "image/png" }));
    const target = document.querySelector(selector);
    for (const type of ["dragenter", "dragover", "drop"])
        target.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: data }));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    expect.set_options(timeout=SLOW_MS)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a worker. It is started only where there is a browser."""
    with served(tmp_path_factory.mktemp("page")) as (_, url):
        yield url


@pytest.fixture
def idle(url: str) -> Iterator[str]:
    """The same, and afterwards nothing waits or runs."""
    yield url
    for state in ("pending", "in_progress"):
        for job in ask(f"{url}/v1/jobs?state={state}")["jobs"]:
            ask(f"{url}/v1/jobs/{job['id']}/cancel", {})


def fill(page: Any, steps: int, prompt: str = PROMPT, seed: int = 7) -> None:
    """Fill the form of the template that is open first."""
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Seed", exact=True).fill(str(seed))
    if not page.locator("details.more").evaluate("element => element.open"):
        page.get_by_text("More settings").click()
    page.get_by_label("Steps", exact=True).fill(str(steps))


def run(page: Any) -> None:
    page.get_by_role("button", name="Run", exact=True).click()


def step_of(page: Any) -> int:
    """The step that the page shows of what runs; waits until it shows one."""
    text = page.locator("#running .step", has_text=re.compile(r"denoise: step [1-9]"))
    text.wait_for()
    found = re.search(r"step (\d+) of", text.inner_text())
    assert found is not None
    return int(found[1])


def until(page: Any, condition: str) -> None:
    """Wait until an expression is true. Not by the page itself, in which nothing may be evaluated."""
    deadline = time.monotonic() + SLOW_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(100)


def drop(page: Any, name: str, content: bytes, selector: str = "main") -> None:
    page.evaluate(DROP, [name, base64.b64encode(content).decode(), selector])


def test_a_prompt_becomes_a_picture(browser: Any, url: str) -> None:
    """While it is drawn its steps and previews are seen; then the picture, its settings, and the models in memory."""
    with opened(browser, url) as page:
        page.locator("#plan-body .verdict.fits").wait_for()
        fill(page, 300)
        run(page)
        page.locator("#running canvas[data-previews]").wait_for()
        step_of(page)
        picture = page.locator("#gallery img").first
        picture.wait_for()
        until(page, "document.querySelector('#gallery img').naturalWidth > 0")
        assert picture.get_attribute("alt") == PROMPT
        page.locator("#nothing-runs").wait_for()
        page.locator("#memory .models li").first.wait_for()
        picture.click()
        facts = page.locator("dialog .facts").inner_text()
        assert "300" in facts
        assert PROMPT in facts
        page.get_by_text("Graph", exact=True).click()
        page.locator("dialog pre", has_text='"limner": 1').wait_for()
        page.keyboard.press("Escape")
        assert not page.locator("dialog[open]").count()


def test_a_result_is_run_again_and_opened(browser: Any, idle: str) -> None:
    """A result runs again as it was, and its settings are those of the form when it is opened."""
    job = ask(f"{idle}/v1/run/text_to_image?wait=1", {"prompt": "a red ring", "seed": 2**63 + 1, "steps": 2})
    assert job.startswith(b"\x89PNG")
    with opened(browser, idle) as page:
        tile = page.locator("#gallery li", has_text="a red ring").first
        before = page.locator("#gallery li", has_text="a red ring").count()
        tile.get_by_role("button", name="Run again: a red ring").click()
        page.locator("#gallery li", has_text="a red ring").nth(before).wait_for()
        tile.get_by_role("button", name="Edit: a red ring").click()
        expect(page.get_by_label("Seed", exact=True)).to_have_value(str(2**63 + 1))
        assert page.get_by_label("Prompt", exact=True).input_value() == "a red ring"
        run(page)  # every digit of the seed goes back
        page.locator("#gallery li", has_text="a red ring").nth(before + 1).wait_for()
    newest = ask(f"{idle}/v1/jobs?limit=1")["jobs"][0]["id"]
    assert ask(f"{idle}/v1/jobs/{newest}")["parameters"]["seed"] == 2**63 + 1


def test_a_fault_is_said_at_its_field(browser: Any, url: str) -> None:
    """What is wrong is said where it is, and the first of such fields has the focus."""
    with opened(browser, url, expected=REFUSED) as page:
        page.locator("#plan-body .verdict.fits").wait_for()
        fill(page, 0)
        run(page)
        field = page.locator("[data-name=steps]")
        field.locator(".fault:not([hidden])").wait_for()
        steps = field.locator("input")
        assert "at least 1" in field.locator(".fault").inner_text()
        assert steps.get_attribute("aria-invalid") == "true"
        assert page.evaluate("document.activeElement.closest('.field').dataset.name") == "steps"
        described = (steps.get_attribute("aria-describedby") or "").split()
        assert field.locator(".fault").get_attribute("id") in described
        assert page.locator("#form-faults").is_hidden()
        steps.fill("3")
        assert steps.get_attribute("aria-invalid") is None


def test_cancel_and_retry(browser: Any, idle: str) -> None:
    """What runs is cancelled after its step, and may be tried again."""
    with opened(browser, idle) as page:
        fill(page, LONG, "a job to cancel")
        run(page)
        step_of(page)
        page.get_by_role("button", name="Cancel", exact=True).click()
        stopped = page.locator("#stopped-list li", has_text="a job to cancel").first
        stopped.wait_for()
        page.locator("#nothing-runs").wait_for()
        stopped.get_by_role("button", name="Retry").click()
        assert step_of(page) > 0


def test_a_reload_goes_on_showing_what_runs(browser: Any, idle: str) -> None:
    """After a reload the page shows the same job, no earlier step than before, and then later ones."""
    with opened(browser, idle) as page:
        fill(page, LONG, "a job to reload")
        run(page)
        before = step_of(page)
        page.reload()
        card = page.locator("#running li", has_text="a job to reload")
        card.wait_for()
        after = step_of(page)
        assert after >= before
        until(page, f"document.querySelector('#running progress')?.value > {after}")
        card.locator("canvas[data-previews]").wait_for()
        expect(page.get_by_label("Prompt", exact=True)).to_have_value("a job to reload")


def test_two_tabs_and_the_queue(browser: Any, idle: str) -> None:
    """What one tab does to the queue, the other shows; jobs are moved with keys, held and cancelled."""
    with opened(browser, idle) as page:
        other = page.context.new_page()
        other.goto(f"{idle}/run")
        fill(page, LONG, "the first")
        run(page)
        step_of(page)
        for name in ("the second", "the third", "the fourth"):
            fill(page, 1, name)
            run(page)
            other.locator("#waiting li", has_text=name).wait_for()

        expect(other.locator("#waiting .name")).to_have_text(["the second", "the third", "the fourth"])
        page.get_by_role("button", name="Earlier: the fourth").focus()
        page.keyboard.press("Alt+ArrowUp")
        for tab in (page, other):
            expect(tab.locator("#waiting .name")).to_have_text(["the second", "the fourth", "the third"])
        expect(page.get_by_role("button", name="Earlier: the fourth")).to_be_focused()
        other.get_by_role("button", name="Pause: the fourth").click()
        page.locator("#waiting li", has_text="the fourth").locator(".tag", has_text="paused").wait_for()
        other.get_by_role("button", name="Cancel: the third").click()
        expect(page.locator("#waiting li")).to_have_count(2)
        page.get_by_role("button", name="Pause the queue").click()
        page.get_by_role("heading", name="Waiting: paused").wait_for()
        assert ask(f"{idle}/v1/queue")["is_paused"]
        other.get_by_role("heading", name="Waiting: paused").wait_for(timeout=10_000)  # told, not found later
        other.get_by_role("button", name="Go on", exact=True).click()
        page.get_by_role("button", name="Pause the queue").wait_for()


def png_with(graph: str) -> bytes:
    """A small picture that carries a text as SaveImage writes one."""
    import io

    import PIL.Image
    from PIL.PngImagePlugin import PngInfo

    info, buffer = PngInfo(), io.BytesIO()
    info.add_itxt("limner", graph)
    PIL.Image.new("RGB", (64, 64), "teal").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def test_a_picture_that_is_dropped_opens_its_form(browser: Any, idle: str) -> None:
    """A picture of ours brings its prompt and seed with it; one that carries nothing says so."""
    content = ask(f"{idle}/v1/run/text_to_image?wait=1", {"prompt": "a green diamond", "seed": 11, "steps": 2})
    with opened(browser, idle, expected=REFUSED) as page:
        page.locator("#plan-body .verdict.fits").wait_for()
        drop(page, "diamond.png", content)
        expect(page.get_by_label("Prompt", exact=True)).to_have_value("a green diamond")
        expect(page.get_by_label("Seed", exact=True)).to_have_value("11")
        assert page.locator("#template option:checked").inner_text() == "From diamond.png"
        drop(page, "nothing.png", (ROOT / "docs" / "images" / "readme.png").read_bytes())
        page.locator("#problem", has_text="carries no graph").wait_for()
        assert page.locator("#drop").is_hidden()
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.locator("#problem")).to_be_hidden()


def test_a_hostile_picture_is_only_text(browser: Any, url: str) -> None:
    """Whatever a picture carries is shown as text: nothing in it becomes an element or runs."""
    import json

    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    nodes = {"text": {"type": "Text", "settings": {"value": evil}}}
    graph = {"limner": 1, "name": "evil", "description": evil, "nodes": nodes, "parameters": {"prompt": "text.value"}}
    record = {"graph": graph, "keys": {}, "software": {}}
    with opened(browser, url, expected=REFUSED) as page:
        page.locator("#plan-body .verdict.fits").wait_for()
        drop(page, f"{evil}.png", png_with(json.dumps(record)))
        expect(page.locator("#template-text")).to_have_text(evil)
        expect(page.get_by_label("Prompt", exact=True)).to_have_value(evil)
        for broken in ("{", "null", '{"graph": 1}', json.dumps(record | {"graph": {"limner": 1, "nodes": {"a": 1}}})):
            drop(page, "broken.png", png_with(broken))
            page.locator("#problem p").wait_for()
            page.get_by_role("button", name="Dismiss").click()
        assert page.title() == "Limner"
        assert page.locator("main img[src=x]").count() == 0


def test_references_are_brought_by_dropping_them(browser: Any, url: str) -> None:
    """A picture on the field that takes pictures goes to the server, and its path into the form."""
    content = (ROOT / "docs" / "images" / "readme.png").read_bytes()
    with opened(browser, url, expected=REFUSED) as page:
        page.locator("#plan-body .verdict.fits").wait_for()
        page.get_by_label("Template", exact=True).select_option("edit_with_references")
        page.locator("[data-name=images]").wait_for()
        drop(page, "readme.png", content, "[data-name=images]")
        expect(page.get_by_label("Images, 1")).to_have_value(re.compile("^uploads/"))
        assert page.locator("[data-name=images] canvas.thumb").is_visible()


def test_a_page_on_a_phone(browser: Any, url: str) -> None:
    """At 360 pixels nothing is cut off or scrolls sideways, and buttons are large enough for a finger."""
    with opened(browser, url, width=360, height=740) as page:
        page.locator("#plan-body .verdict.fits").wait_for()
        page.get_by_text("More settings").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        outside = page.evaluate(
            """[...document.querySelectorAll("main *, header *")].filter((one) => {
                const { right, width } = one.getBoundingClientRect();
                return width > 1 && right > 361 && one.checkVisibility();
            }).map((one) => one.outerHTML.slice(0, 200))"""
        )
        assert outside == []
        assert page.get_by_role("button", name="Run", exact=True).bounding_box()["height"] >= 44


UNLABELLED = """[...document.querySelectorAll("input, select, textarea, button, a[href], [role=img], progress")]
    .filter((one) => one.type !== "hidden" && !(one.labels?.length) && !one.getAttribute("aria-label")
        && !one.getAttribute("aria-labelledby") && !one.textContent.trim())
    .map((one) => one.outerHTML)"""
FAINT = """() => {
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
        .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
        .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
    function behind(node) {
        for (; node; node = node.parentElement) {
            const color = rgb(getComputedStyle(node).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
    }
    const faint = [];
    for (const node of document.querySelectorAll("body *")) {
        const isText = [...node.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
        if (!isText || !node.checkVisibility() || node.closest(".hidden, select")) continue;
        const [one, two] = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
        if ((one + 0.05) / (two + 0.05) < 4.5) faint.push(node.outerHTML.slice(0, 120));
    }
    return faint;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(browser: Any, url: str, scheme: str) -> None:
    """Every control has a name, every text a contrast of 4.5, every page one heading, and ids are unique."""
    with opened(browser, url, scheme=scheme, expected=REFUSED) as page:
        page.locator("#plan-body .verdict.fits").wait_for()
        fill(page, 0)
        run(page)
        page.locator("[data-name=steps] .fault:not([hidden])").wait_for()
        for template in ("text_to_image", "edit_with_references", "product_shot", "inpaint", "lora_stack"):
            page.get_by_label("Template", exact=True).select_option(template)
            page.locator("#fields .field").last.wait_for(state="attached")
            assert page.evaluate(UNLABELLED) == []
            assert page.evaluate(FAINT) == []
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
        assert len(ids) == len(set(ids))
        assert page.locator("h1").count() == 1
        assert page.locator("html").get_attribute("lang") == "en"
        page.reload()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_connection_that_is_lost_comes_back(browser: Any, tmp_path: Path) -> None:
    """The page says when the server is gone, and goes on when it is there again, without a reload."""
    with served(tmp_path, "--workers", "0") as (_, url):
        port = url.rpartition(":")[2]
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{url}/run")
        expect(page.locator("#no-results")).to_be_visible()
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    with served(tmp_path, "--workers", "0", "--port", port) as (_, url):
        expect(page.locator("#connection")).to_be_empty()
        ask(f"{url}/v1/run/text_to_image", {"prompt": "a job after that"})
        expect(page.locator("#waiting li")).to_contain_text("a job after that")
        context.close()


def test_a_token_is_asked_for_once(browser: Any, tmp_path: Path) -> None:
    """The page asks for a token, says when one is wrong, and keeps the right one where no script reads it."""
    token = "a-token-of-tests-4711"
    with (
        served(tmp_path, "--workers", "0", LIMNER_TOKEN=token) as (_, url),
        opened(browser, url, expected=REFUSED) as page,
    ):
        page.locator("dialog[open]").wait_for()
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("No client has this token.").wait_for()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        page.locator("#plan-body .verdict.fits").wait_for()
        expect(page.locator("#connection")).to_be_empty()
        run(page)
        page.locator("#waiting li").wait_for()
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert page.evaluate("document.cookie") == ""
        page.reload()
        page.locator("#waiting li").wait_for()
        assert not page.locator("dialog[open]").count()
        page.get_by_role("button", name="Log out").click()
        page.locator("dialog[open]").wait_for()
        assert page.context.cookies() == []


def test_what_does_not_fit_is_made_to_fit(browser: Any, tmp_path: Path) -> None:
    """The plan says what does not fit and what would; a click changes the form, another takes that back."""
    with served(tmp_path, "--workers", "0", "--memory", "cpu=12MB") as (_, url), opened(browser, url) as page:
        page.locator("#plan-body .fault").first.wait_for()
        page.get_by_role("button", name=re.compile("^Apply")).first.click()
        page.locator("#plan-body .verdict.fits").wait_for()
        run(page)
        page.locator("#waiting li").wait_for()
        page.get_by_role("button", name="Take back").click()
        page.locator("#plan-body .fault").first.wait_for()
