"""The Lineage pages in a browser: by keyboard, light and dark, below a proxy's path, with names that mean harm."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from tests import browsing
from tests.descriptions.conftest import DROP, serving
from tests.lineage import catalogue, flow
from tests.lineage.account import kept
from tests.plugins.conftest import login

from lookbook import storage
from lookbook.settings import get_settings
from lookbook.training import registry

ROOT = "/airflow"
EARLIER = ("2026-11-09", "2026-11-02", "2026-10-26")
PRODUCTS = 1000
NAME = "Moss Green Linen Shirt"
HARM = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
READABLE = 4.5  # contrast of text, WCAG 2.2 AA

LINEAGE = f"{ROOT}/lookbook/lineage"
PAGES = {
    "start": LINEAGE,
    "found": f"{LINEAGE}?q=shirt",
    "product": f"{LINEAGE}/products/38642",
    "drops": f"{LINEAGE}/drops",
    "drop": f"{LINEAGE}/drops/{DROP}",
    "what depends on a drop": f"{LINEAGE}/drops/{DROP}/depends",
    "models": f"{LINEAGE}/models",
    "model": f"{LINEAGE}/models/v1",
    "what depends on a model": f"{LINEAGE}/models/v1/depends",
    "cost": f"{LINEAGE}/cost",
    "run": f"{LINEAGE}/runs/describe_products/run-1",
}


@pytest.fixture(scope="module", autouse=True)
def fresh_settings(
    moto_server: str, airflow_db: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[pytest.MonkeyPatch]:
    """In place of every test's own settings: those of one account, catalogue and server for all tests of this file."""
    browsing.executable()
    with kept(moto_server, tmp_path_factory) as patch:
        patch.setenv("AIRFLOW__API__BASE_URL", f"http://127.0.0.1{ROOT}")
        yield patch


@pytest.fixture(scope="module")
def platform(fresh_settings: pytest.MonkeyPatch) -> None:
    """A thousand products in four drops: one with a whole chain to a model in service, some whose names mean harm."""
    drawn = io.BytesIO()
    Image.new("RGB", (60, 80), "olive").save(drawn, "JPEG")
    fresh_settings.setattr(flow, "PICTURE", drawn.getvalue())
    flow.ingest(display_name=NAME, brand=HARM)
    flow.retrain()
    _serve()
    flow.describe("v1")
    picture = {"picture_uri": flow.PICTURE_URI, "picture_sha256": flow.sha256(flow.PICTURE)}
    ids = [str(40_000 + number) for number in range(PRODUCTS - 1)]
    for place, drop_id in enumerate(EARLIER):
        of_drop = ids[place::3]
        catalogue.publish(
            drop_id, of_drop, **picture, **({"display_name": HARM, "article_type": HARM} if place else {})
        )
        catalogue.quarantine(drop_id, ["picture_missing"], [HARM])
        statuses = ("published", "published", "withheld", "failed", "stale")
        described = {one: statuses[number % 5] for number, one in enumerate(of_drop)}
        catalogue.describe(drop_id, described, reasons=[HARM], text_model_id=HARM if place else catalogue.MODEL)
        catalogue.ran(drop_id, "ingest_drop", f"scheduled__{drop_id}T00:00:00+00:00", "discover", "publish")


def _serve() -> None:
    """Put the model that was registered in service."""
    sagemaker, (package,) = boto3.client("sagemaker"), registry.all_packages()
    container = {"Image": "image", "Environment": {registry.PACKAGE_VARIABLE: package}}
    role = get_settings().execution_role_arn
    sagemaker.create_model(ModelName="serving", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "serving", "InstanceType": "ml.g4dn.xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="serving", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=get_settings().endpoint_name, EndpointConfigName="serving")
    storage.write_bytes("s3://lookbook/training/jobs/lookbook-evaluate-1/evaluation.html", b"<h1>Evaluation</h1>")


@pytest.fixture(scope="module")
def origin(platform: None, api_server: TestClient) -> Iterator[str]:
    """The address of Airflow's API server with Lookbook's plugins, below a path as a proxy would have it."""
    with serving(Starlette(routes=[Mount(ROOT, api_server.app)])) as address:
        yield address


@dataclass
class Visit:
    """A browser's page that is logged in, all that it asked for, and all that it complained about."""

    page: Any
    origin: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        """Go to a path of the server and return the page."""
        self.page.goto(self.origin + path, wait_until="load")
        return self.page

    def tab_to(self, selector: str, at_most: int = 200) -> None:
        """Press Tab until what has the focus is what the selector means."""
        for _ in range(at_most):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"{at_most} times Tab from the beginning of {self.page.url} reach no {selector}")

    def follow(self, selector: str) -> None:
        """Tab to a link and press Enter."""
        self.tab_to(selector)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing.browser() as browser:
        yield browser


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Any, origin: str) -> Iterator[Visit]:
    """A visit in the colour scheme and width that a test is parametrized with, light and wide if it is not."""
    scheme, width = getattr(request, "param", ("light", 1280))
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    token = login()["Authorization"].removeprefix("Bearer ")
    context.add_cookies([{"name": "_token", "value": token, "url": origin}])
    visit = Visit(context.new_page(), origin)
    visit.page.on("request", lambda asked: visit.asked.append(asked.url))
    visit.page.on("console", lambda said: visit.complaints.append(said.text))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("dialog", lambda dialog: visit.complaints.append(dialog.message))
    yield visit
    context.close()


def test_from_a_name_to_product_graph_drop_and_model_by_keyboard_alone(visit: Visit) -> None:
    page = visit.open(LINEAGE)
    visit.tab_to("input[name=q]")
    page.keyboard.type(NAME.lower())
    with page.expect_navigation():
        page.keyboard.press("Enter")
    visit.follow("a[href*='/products/38642']")
    assert page.locator("h1").inner_text() == f"38642 · {NAME}"
    visit.tab_to("svg a.box[aria-label^='picture']")
    page.keyboard.press("Enter")
    assert page.locator(":target h3").inner_text().startswith("picture")
    visit.follow(f"main a[href$='/drops/{DROP}']")
    assert page.locator("h1").inner_text() == f"Drop {DROP}"
    visit.follow("main a[href$='/models/v1']")
    assert page.locator("h1").inner_text() == "Model v1"
    visit.follow("main a[href$='/models/v1/depends']")
    assert "--mark-stale" in page.locator("pre").inner_text()
    assert visit.complaints == []


def test_the_products_of_a_drop_are_searched_by_keyboard(visit: Visit) -> None:
    page = visit.open(f"{LINEAGE}/drops/{EARLIER[0]}")
    visit.tab_to("main input[name=q]")
    page.keyboard.type("40000")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    visit.follow("main tbody a[href*='/products/']")
    assert urlsplit(page.url).path == f"{LINEAGE}/products/40000"


@pytest.mark.parametrize("visit", [("light", 1280), ("dark", 390)], indirect=True, ids=["light, wide", "dark, narrow"])
def test_every_page_is_readable_fits_and_asks_for_nothing_elsewhere(visit: Visit) -> None:
    faint, wide, elsewhere = {}, {}, []
    for name, path in PAGES.items():
        page = visit.open(path)
        assert page.locator("h1").count() == 1, name
        faint |= {f"{name}: {one['text']}": one["contrast"] for one in page.evaluate(FAINT, READABLE)}
        if (over := page.evaluate("document.documentElement.scrollWidth - window.innerWidth")) > 0:
            wide[name] = over
        elsewhere += page.evaluate(ELSEWHERE, ROOT)
    assert faint == {}
    assert wide == {}, "pixels by which a page is wider than the window"
    assert elsewhere == []
    assert [url for url in visit.asked if not url.startswith((f"{visit.origin}{ROOT}/", "data:"))] == []
    assert visit.complaints == []


def test_the_dark_page_is_dark(visit: Visit) -> None:
    page = visit.open(PAGES["drops"])
    light = page.evaluate(BRIGHTNESS)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(BRIGHTNESS) < 0.2 < 0.8 < light


@pytest.mark.parametrize("path", ["?q=script", f"/drops/{EARLIER[1]}", "/drops", "/cost", "/products/40001"])
def test_a_name_that_means_harm_is_shown_and_does_nothing(visit: Visit, path: str) -> None:
    page = visit.open(LINEAGE + path)
    assert "owned" in page.locator("main").inner_text(), "it is shown"
    assert page.title() != "owned"
    assert page.locator("img[src=x], main script").count() == 0
    assert visit.complaints == []


def test_what_is_asked_for_may_mean_harm_too(visit: Visit) -> None:
    for path in (f"?q={quote(HARM)}", f"/drops/{quote(HARM, safe='')}", f"/models/{quote(HARM, safe='')}"):
        page = visit.open(LINEAGE + path)
        assert page.title() != "owned" and page.locator("img[src=x]").count() == 0
    # A page that is not there is an answer with status 404, which a browser always tells its console.
    assert all("404" in complaint for complaint in visit.complaints)


def test_pages_work_without_a_script(browser: Any, origin: str, visit: Visit) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(visit.page.context.cookies())
    page = context.new_page()
    page.goto(f"{origin}{LINEAGE}/drops")
    page.get_by_role("link", name=DROP, exact=True).click()
    page.get_by_role("link", name="What depends on it").click()
    assert page.locator("h1").inner_text() == f"What depends on drop {DROP}"
    context.close()


# Colours may be written in any way that CSS knows: a canvas says what the screen would show.
_COLOUR = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
const seen = (colour, below) => {
  canvas.fillStyle = `rgb(${below.join(" ")})`; canvas.fillRect(0, 0, 1, 1);
  canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (colour) => {
  const [r, g, b] = colour.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  if (element === null) return [255, 255, 255];
  const box = element.closest("a.box")?.querySelector("rect");
  if (box) return seen(getComputedStyle(box).fill, behind(box.ownerSVGElement));
  return seen(getComputedStyle(element).backgroundColor, behind(element.parentElement));
};
"""
BRIGHTNESS = f"() => {{ {_COLOUR} return luminance(behind(document.body)); }}"
# Every piece of text that is shown, with less contrast than it needs against what lies behind it.
FAINT = (
    "(needed) => {"
    + _COLOUR
    + """
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), faint = [];
for (let text; (text = texts.nextNode());) {
  const element = text.parentElement, style = getComputedStyle(element);
  if (!text.data.trim() || !element.checkVisibility() || element.closest("title, script, option")) continue;
  const below = behind(element), over = seen(element instanceof SVGElement ? style.fill : style.color, below);
  const [low, high] = [luminance(below), luminance(over)].sort((a, b) => a - b);
  const contrast = (high + 0.05) / (low + 0.05);
  if (contrast < needed) faint.push({text: text.data.trim().slice(0, 60), contrast});
}
return faint; }"""
)
# Where links and forms lead but to the page itself and below the server's path.
ELSEWHERE = """(root) => [...document.querySelectorAll("a, form")]
  .map((one) => one.getAttribute("href") ?? one.getAttribute("action"))
  .filter((to) => !to.startsWith("#") && !to.startsWith(root + "/"))"""
