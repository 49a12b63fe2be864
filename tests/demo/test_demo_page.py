"""The demo's page in a real browser: headless Chromium, if there is one (Debian: chromium)."""

from __future__ import annotations

import contextlib
import io
import re
import string
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import untrained
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from firstspike.data import load_mnist
from firstspike.demo.api import Api
from firstspike.demo.networks import Shelf, bundled, given
from firstspike.demo.race import race
from firstspike.demo.server import Server
from firstspike.shape import MNIST, Shape

sys.path.append(str(Path(__file__).parents[2]))

from tools import screenshot_demo

PATIENCE = 20_000  # milliseconds; a race takes up to 16 seconds
# The page's choices are random, but the same each time.
SEEDED = "let s = 3; Math.random = () => (s = (s * 16807) % 2147483647) / 2147483647"
NO_ANSWER = "\N{EN DASH}"
ONE = ((0.52, 0.18), (0.48, 0.82))

pytestmark = pytest.mark.skipif(
    screenshot_demo.CHROMIUM is None, reason="no Chromium; apt install chromium"
)


@contextlib.contextmanager
def serving(shelf: Shelf) -> Iterator[Server]:
    with Server(0, Api(shelf)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(Shelf(bundled())) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright, screenshot_demo.launch(playwright) as browser:
        yield browser


@pytest.fixture
def open_page(browser, server):
    """Opens the page for a visitor; at the end nothing may have gone wrong or outside."""
    contexts, faults, places, ours = [], [], [], ["data:", "blob:"]

    def open_page(reduced_motion: str = "reduce", url: str = server.url, **visitor: object) -> Page:
        contexts.append(browser.new_context(reduced_motion=reduced_motion, **visitor))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(SEEDED)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if is_fault(said) else None)
        page.on("request", lambda request: places.append(request.url))
        page.goto(url)
        ours.append(url)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults
    assert all(place.startswith(tuple(ours)) for place in places)


def is_fault(said: ConsoleMessage) -> bool:
    """Whether the browser complains of anything but a request that was refused with a reason."""
    return said.type == "error" and "the server responded with a status of 400" not in said.text


def image_file(pixels: object) -> dict[str, object]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return {"name": "picture.png", "mimeType": "image/png", "buffer": stream.getvalue()}


def test_a_link_on_another_page_opens_it(browser, server, tmp_path):
    elsewhere = tmp_path / "elsewhere.html"
    elsewhere.write_text(f'<a href="{server.url}">the demo</a>')
    with browser.new_context(reduced_motion="reduce") as visitor:
        page = visitor.new_page()
        page.goto(elsewhere.as_uri())
        page.click("a")
        expect(page.locator("#winner")).to_have_text(re.compile(r"^\d$"))


def test_a_blank_picture_is_told_at_once(open_page):
    page = open_page(reduced_motion="no-preference")
    page.set_input_files("#file", image_file(np.full((90, 60), 255, np.uint8)))
    expect(page.locator("#sentence")).to_contain_text("blank", timeout=2000)
    expect(page.locator("#winner")).to_have_text(NO_ANSWER)
    expect(page.locator(".lane.won")).to_have_count(0)


def test_an_undecided_picture_is_told_at_once(open_page, tmp_path):
    run = untrained.finished(tmp_path / "silent", "classifier", shift=-9.0)
    with serving(Shelf(given([run.path])[0])) as other:
        page = open_page(reduced_motion="no-preference", url=other.url)
        expect(page.locator("#sentence")).to_contain_text("No output neuron spiked", timeout=4000)
        expect(page.locator("#winner")).to_have_class("winner decided", timeout=200)


def test_it_opens_with_a_bundled_network_and_tells_what_cannot_be_loaded(open_page, tmp_path):
    model = untrained.finished(tmp_path / "a", "classifier").path / "checkpoint/model.safetensors"
    model.write_bytes(model.read_bytes()[:-9])
    with serving(Shelf(given([tmp_path])[0] + bundled())) as other:
        page = open_page(url=other.url)
        expect(page.locator("#classifier option:checked")).to_contain_text("bundled")
        expect(page.locator("#fault")).to_be_hidden()
        expect(page.locator("#winner")).to_have_text(re.compile(r"^\d$"))
    with serving(Shelf(given([tmp_path / "a"])[0] + bundled())) as other:  # asked for by name
        page = open_page(url=other.url)
        expect(page.locator("#fault")).to_contain_text("damaged")  # though the generator loads
        expect(page.locator("#gallery .tile")).to_have_count(24)
        expect(page.locator("#winner")).to_have_text(NO_ANSWER)


@pytest.mark.parametrize(("width", "height"), [(390, 664), (360, 600)])
def test_a_phone_shows_the_answer_on_its_first_screen(open_page, width, height):
    page = open_page(viewport={"width": width, "height": height})
    told = page.locator("#sentence")
    assert told.bounding_box()["y"] + told.bounding_box()["height"] <= height
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.set_input_files("#file", image_file(load_mnist("test").images[0].numpy()))
    expect(page.locator("#origin")).to_have_text("picture.png")
    expect(page.locator("#winner")).to_be_in_viewport()


def test_samples_are_one_tab_stop_with_arrow_keys(open_page):
    page = open_page()
    tiles = page.locator("#gallery .tile")
    tiles.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(tiles.nth(9)).to_be_focused()
    page.keyboard.press("End")
    expect(tiles.last).to_be_focused()
    page.keyboard.press("ArrowRight")  # there is none
    expect(tiles.last).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#walk .tile").first).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(tiles.last).to_be_focused()
    tiles.nth(5).click()  # Tab comes back to what was picked
    expect(page.locator("#gallery .tile[tabindex='0']")).to_have_count(1)
    expect(tiles.nth(5)).to_have_attribute("tabindex", "0")


def test_a_test_digit_is_raced_as_the_library_does(open_page, server):
    page = open_page()
    said = page.locator("#origin").inner_text()
    index, label = map(int, re.fullmatch(r"mnist-test, image (\d+), class (\d)", said).groups())
    test = load_mnist("test")
    assert label == test.labels[index]
    told = race(server.api.shelf.classifier(0), test.images[index].numpy())
    expect(page.locator("#winner")).to_have_text(str(told["winner"]))
    expect(page.locator("#fact-step")).to_have_text(str(told["decision"]))
    expect(page.locator("#fact-spikes")).to_have_text(f"{sum(told['spikes']):,}")
    expect(page.locator("#fact-additions")).to_have_text(f"{told['additions']:,}")
    expect(page.locator(".lane.won b")).to_have_text(str(told["winner"]))


def test_what_is_drawn_is_recognised(open_page):
    page = open_page()
    for stroke, digit in ((screenshot_demo.SEVEN, "7"), (ONE, "1")):
        page.click("#clear")
        expect(page.locator("#sentence")).to_have_text("")
        screenshot_demo.draw(page, stroke)
        expect(page.locator("#winner")).to_have_text(digit)
        expect(page.locator("#spoken")).to_contain_text(f"{digit}. ")


def test_a_race_plays_in_time_order_and_can_be_dragged(open_page):
    page = open_page(reduced_motion="no-preference")
    play = page.locator("#race-transport .play")
    expect(play).to_have_attribute("aria-label", "Play")  # the first race has come to its end
    expect(page.locator("#winner")).to_have_class("winner decided")
    end = int(page.locator("#fact-step").inner_text())
    slider = page.locator("#race-transport input")
    slider.fill("0")
    expect(page.locator("#winner")).to_have_text("?")
    expect(page.locator("#fact-step")).to_have_text("0")
    play.click()
    expect(play).to_have_attribute("aria-label", "Pause")
    expect(page.locator("#fact-step")).to_have_text(str(end))
    page.check("#whole")
    slider.fill("255")
    assert page.locator("#race-transport output").inner_text() == "step 255"


def test_a_file_is_uploaded_or_told_to_be_none(open_page):
    page = open_page()
    page.set_input_files(
        "#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    )
    fault = page.locator("#fault")
    expect(fault).to_contain_text("not a readable picture")
    stream = io.BytesIO()
    test = load_mnist("test")
    Image.fromarray(test.images[0].numpy()).save(stream, "PNG")
    seven = {"name": "seven.png", "mimeType": "image/png", "buffer": stream.getvalue()}
    page.set_input_files("#file", seven)
    expect(page.locator("#origin")).to_have_text("seven.png")
    expect(page.locator("#winner")).to_have_text(str(int(test.labels[0])))
    expect(fault).to_be_hidden()


def test_samples_are_drawn_picked_and_walked_between(open_page):
    page = open_page()
    tiles, walk = page.locator("#gallery .tile"), page.locator("#walk .tile")
    expect(tiles).to_have_count(24)
    with page.expect_response(lambda response: "/api/walk" in response.url) as answer:
        tiles.nth(7).click()
    expect(tiles.nth(7)).to_have_attribute("data-mark", "B")
    expect(tiles.nth(1)).to_have_attribute("data-mark", "A")
    expect(walk).to_have_count(16)
    last = answer.value.json()["images"][-1]
    spikes = sum(time < 256 for layer in last for time in layer)
    expect(page.locator("#stage-facts")).to_contain_text(f"{spikes} of 1,294")
    stage = page.locator("#stage")
    ending = stage.evaluate("canvas => canvas.toDataURL()")
    page.locator("#walk-place").fill("0")
    assert stage.evaluate("canvas => canvas.toDataURL()") != ending
    before = page.evaluate("document.querySelector('#gallery canvas').toDataURL()")
    with page.expect_response(lambda response: "/api/sample" in response.url):
        page.click("#more")
    expect(tiles.nth(0)).to_have_attribute("data-mark", "A")
    assert page.evaluate("document.querySelector('#gallery canvas').toDataURL()") != before


def test_what_the_generator_draws_is_recognised_above(open_page):
    page = open_page()
    with page.expect_response(lambda response: "/api/race" in response.url) as answer:
        page.click("#read")
    told = answer.value.json()
    expect(page.locator("#origin")).to_have_text("drawn by the generator below")
    expect(page.locator("#winner")).to_have_text(str(told["winner"]))
    drawn = page.locator("#stage").evaluate(
        """stage => [...stage.getContext('2d').getImageData(0, 0, 28, 28).data].filter(
            (_, k) => k % 4 == 0)"""
    )
    assert told["pixels"] == pytest.approx(drawn, abs=1)
    assert max(drawn) > 200


def test_a_demo_that_does_not_answer_is_told(open_page):
    page = open_page()
    page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError()) }")
    page.click("#more")
    expect(page.locator("#fault")).to_contain_text("Is it still running")


@pytest.mark.parametrize(
    ("width", "scheme"), [(320, "dark"), (390, "light"), (768, "dark"), (1280, "light")]
)
def test_it_fits_a_phone_and_a_desk_in_both_schemes(open_page, width, scheme):
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (brightness < 128) == (scheme == "dark")


def test_other_sizes_colours_and_classes_fit_the_page(open_page, tmp_path):
    names = [f"class {letter}" for letter in string.ascii_lowercase]
    for number, name in enumerate(names):
        (tmp_path / "data" / name).mkdir(parents=True)
        colour = (9 * number, 255, 90)
        Image.new("RGB", (24, 32), colour).save(tmp_path / "data" / name / "a.png")
    options = {"data": str(tmp_path / "data"), "validation": 0.0}
    options["shape"] = Shape(3, 32, 24, tuple(names))
    runs = [
        untrained.run(tmp_path / "a", "classifier", **options),
        untrained.run(tmp_path / "b", "gan", digit="all", conditional=True, **options),
        untrained.run(tmp_path / "c", "gan", digit="all", **options),
    ]
    with serving(Shelf(given([run.path for run in runs])[0] + bundled())) as other:
        page = open_page(url=other.url, viewport={"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect(page.locator("#origin")).to_have_text(
            re.compile(r"data-train, image \d+, class class")
        )
        expect(page.locator(".lane b")).to_have_text(names)
        expect(page.locator("#winner")).to_have_text(re.compile("class [a-z]"))
        boxes = [lane.bounding_box() for lane in page.locator(".lane").all()]
        assert all(box["width"] > 120 and box["height"] > 20 for box in boxes)
        size = page.locator("#pad").evaluate("pad => [pad.width, pad.height]")
        assert size == [252, 336]
        size = page.locator("#gallery canvas").first.evaluate("tile => [tile.width, tile.height]")
        assert size == [24, 32]
        with page.expect_request(lambda request: "/api/sample" in request.url) as asked:
            page.select_option("#wanted", "26")
        assert asked.value.post_data_json["digit"] == "class z"
        page.select_option("#classifier", label="classifier-aggressive-400, bundled")
        expect(page.locator("#winner")).to_have_text(re.compile(r"^\d$"))
        expect(page.locator(".lane b")).to_have_text(list("0123456789"))
        page.select_option("#gan", "2")
        expect(page.locator("#wanted")).to_be_hidden()
        page.select_option("#gan", label="gan-all, bundled")  # which is told the digit
        expect(page.locator("#wanted option")).to_have_text(["all in turn", *"0123456789"])


def test_ramp_neurons_race_through_their_windows(open_page, tmp_path):
    run = untrained.run(tmp_path / "a", "classifier", neuron="ramp", network="4c3p2-8")
    with serving(Shelf(given([run.path])[0])) as other:
        page = open_page(url=other.url)
        index = int(re.search(r"image (\d+)", page.locator("#origin").inner_text())[1])
        told = race(other.api.shelf.classifier(0), load_mnist("test").images[index].numpy())
        expect(page.locator("#winner")).to_have_text(str(told["winner"]))
        expect(page.locator("#fact-steps")).to_have_text("of 256")  # four windows of 64
        expect(page.locator("#fact-spikes")).to_have_text(f"{sum(told['spikes']):,}")
        expect(page.locator("#fact-additions")).to_have_text(f"{told['additions']:,}")
        expect(page.locator("#classifier-about")).to_contain_text("ramp neurons 4c3p2-8")
        page.locator("#race-transport input").fill("63")  # the input's window ends
        expect(page.locator("#fact-spikes")).to_have_text(f"{told['spikes'][0]:,}")


def test_a_place_on_the_map_is_drawn(open_page):
    page = open_page()
    page.locator("#latents").scroll_into_view_if_needed()
    facts = page.locator("#latent-facts")
    expect(facts).to_contain_text("spikes of the encoder put it here")
    expect(page.locator("#latent-seen")).to_be_visible()
    size = page.locator("#latent-map").evaluate("map => [map.width, map.height]")
    assert size == [280, 280]
    with page.expect_request(lambda request: "/api/place" in request.url) as asked:
        page.locator("#latent-map").click(position={"x": 6, "y": 6})
    across, up = asked.value.post_data_json["shares"]
    assert across < 0.05 and up > 0.95  # the upper left corner
    expect(facts).not_to_contain_text("encoder")
    expect(page.locator("#latent-seen")).to_be_hidden()
    with page.expect_request(lambda request: "/api/place" in request.url) as asked:
        page.locator("#latent-map").press("ArrowRight")
    assert asked.value.post_data_json["shares"][0] == pytest.approx(across + 0.05, abs=0.01)
    expect(facts).to_contain_text("neurons of the decoder spike")


FILLED = """() => document.getElementById('translate-drawn').getContext('2d')
    .getImageData(14, 14, 1, 1).data[0] > 128"""
RIMS = ((0.44, 0.15), (0.56, 0.15), (0.56, 0.85), (0.44, 0.85), (0.44, 0.15))  # of a one


def test_a_drawn_outline_is_filled(open_page):
    page = open_page()
    page.locator("#translate").scroll_into_view_if_needed()
    expect(page.locator("#translate-facts")).to_contain_text("mnist-test-colour, image")
    expect(page.locator("#translate-wanted")).to_be_visible()
    page.select_option("#translator", label="translate-outline, bundled")
    expect(page.locator("#translate-facts")).to_contain_text("mnist-test-outline, image")
    expect(page.locator("#translate-what")).to_contain_text("Draw the outline of a digit")
    page.click("#translate-clear")
    expect(page.locator("#translate-hint")).to_be_visible()
    expect(page.locator("#translate-facts")).to_have_text("")
    screenshot_demo.draw(page, RIMS, "#translate-pad")
    page.wait_for_function(FILLED)  # inside, where nothing was drawn
    expect(page.locator("#translate-facts")).to_have_text(re.compile(r"^[\d,]+ of 23,520 neurons"))
    expect(page.locator("#translate-wanted")).to_be_hidden()


def test_canvases_are_segmented_and_searched(open_page):
    page = open_page()
    page.locator("#find").scroll_into_view_if_needed()
    expect(page.locator("#segment-facts")).to_contain_text("of pixels are right")
    expect(page.locator("#detect-facts")).to_contain_text("There: ")
    with page.expect_response(lambda response: "/api/detect" in response.url) as answer:
        page.click("#find-new")
    told = answer.value.json()
    names = ", ".join(sorted(told["truth"]["names"]))
    expect(page.locator("#detect-facts")).to_contain_text(f"There: {names}.")
    page.check("#find-truth")
    expect(page.locator("#find-legend span")).to_have_text(sorted(set(told["truth"]["names"])))
    colours = "drawn => new Set(drawn.getContext('2d').getImageData(0, 0, 64, 64).data).size"
    assert page.locator("#find-classes").evaluate(colours) > 8


def test_parts_without_networks_are_left_out(open_page, tmp_path):
    run = untrained.finished(tmp_path / "a", "classifier")
    detector = untrained.run(
        tmp_path / "b", "detect", network="4c3s4-6c3s2", shape=Shape(1, 64, 64, MNIST.classes)
    )
    with serving(Shelf(given([run.path, detector.path])[0])) as other:
        page = open_page(url=other.url)
        for name in ("latents", "translate", "generate"):
            expect(page.locator(f"#{name}")).to_have_count(0)
            expect(page.locator(f"nav a[href='#{name}']")).to_have_count(0)
        page.locator("#find").scroll_into_view_if_needed()
        expect(page.locator("#detect-facts")).to_contain_text("neurons spike")
        expect(page.locator("#find-classes")).to_have_count(0)
        assert page.locator("#find-image").evaluate("image => image.width") == 64


def test_everything_can_be_reached_and_has_a_name(open_page):
    page = open_page()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, canvas, a')].filter(
            (node) => !(node.getAttribute('aria-label') || node.labels?.length ||
              node.textContent.trim() || node.closest('[aria-label]') || node.hidden)
        ).map((node) => node.outerHTML)"""
    )
    assert nameless == []
    page.locator("#clear").focus()
    for name in ("example", "upload"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
