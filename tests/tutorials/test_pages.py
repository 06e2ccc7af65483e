"""The interactive pages: they are what their programs write, and show minires' numbers."""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import chromium, text, value, visit

from minires import cuda
from minires.cuda import host
from minires.kernels.batch_norm import reference as batch_norm_reference
from minires.kernels.conv2d import ladder
from minires.kernels.conv2d import reference as conv2d_reference
from minires.kernels.conv2d.ladder import cuda as rungs
from minires.tutorials import pages
from minires.tutorials.pages import base, batch_norm, convolution, graph, sectors

HOME = Path(pages.__file__).parent


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


def path(name: str) -> Path:
    return HOME / f"{name}.html"


@pytest.mark.parametrize("name", pages.NAMES)
def test_a_page_is_what_its_program_writes(name):
    assert base.build(name) == path(name).read_text(encoding="utf-8"), (
        "run python -m minires.tutorials.pages"
    )


@pytest.mark.parametrize("name", pages.NAMES)
def test_a_page_is_small_and_needs_no_network(name):
    page = path(name).read_text(encoding="utf-8")
    assert len(page.encode()) < 100_000
    assert {*re.findall(r"https?://[^\s\"'<)]*", page)} <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<link|@import|url\(|\bsrc=|fetch\(", page)
    links = re.findall(r'href="([^"]+)"', page)
    assert "../README.md" in links and all((HOME / link).exists() for link in links)


def wrong_pixels(browser):
    """Go to each pixel by the arrow keys, for every setting: where the sum shown is not dx."""
    found = browser.execute_script("""
        const found = [], grid = document.getElementById("dx");
        const set = (name, to) => { const s = document.getElementById(name); s.value = to;
            s.dispatchEvent(new Event("input", {bubbles: true})); };
        const press = (key) => grid.dispatchEvent(
            new KeyboardEvent("keydown", {key, bubbles: true}));
        for (const s of [1, 2, 3]) for (const p of [0, 1, 2]) for (const k of [1, 2, 3, 4]) {
            set("stride", s), set("padding", p), set("kernel", k);
            for (let i = 0; i < 12; i++) press("ArrowUp"), press("ArrowLeft");
            for (let r = 0; r < 6; r++) {
                for (let c = 0; c < 6; c++) {
                    found.push([s, p, k, document.getElementById("name").textContent,
                                Number(document.getElementById("sum").dataset.total)]);
                    press("ArrowRight");
                }
                for (let c = 0; c < 6; c++) press("ArrowLeft");
                press("ArrowDown");
            }
        }
        return found;
    """)
    page = convolution.data()
    dy, w = np.array(page["dy"], float), np.array(page["w"], float)
    right, side, seen = {}, convolution.SIDE, []
    for s, p, k, name, total in found:
        if (s, p, k) not in right:
            out = (side + 2 * p - k) // s + 1
            saved = np.zeros((1, side, side, 1)), w[:k, :k, None, None], (s, s), (p, p)
            given = dy[None, :out, :out, None]
            right[s, p, k] = conv2d_reference.backward(given, saved)[0][0, :, :, 0]
        r, c = map(int, re.findall(r"\d", name))
        seen.append((s, p, k, r, c))
        if right[s, p, k][r, c] != total:
            yield *seen[-1], total
    assert len(set(seen)) == 36 * side * side


def test_the_sum_of_every_pixel_is_dx(browser):
    visit(browser, path("convolution"))
    assert [*wrong_pixels(browser)] == []


@pytest.mark.parametrize(
    "bug",
    [
        ("(r + padding - i) / s", "(r - padding + i) / s"),
        ("sum + t.dy * t.w, 0", "sum - t.dy * t.w, 0"),
        ("q < out)\n        found", "q < out - 1)\n        found"),
    ],
)
def test_a_planted_bug_of_the_convolution_page_is_found(browser, tmp_path, bug):
    page = path("convolution").read_text(encoding="utf-8")
    assert page.count(bug[0]) == 1
    (tmp_path / "page.html").write_text(page.replace(*bug), encoding="utf-8")
    visit(browser, tmp_path / "page.html")
    assert [*wrong_pixels(browser)] != []


def test_a_click_chooses_a_pixel(browser):
    visit(browser, path("convolution"))
    cell = browser.find_element("css selector", "#dx button:nth-child(9)")
    cell.click()
    dx = convolution.data()["dx"]["1,1,3"][1][2]
    assert text(browser, "name") == "dx[1,2]" and text(browser, "sum").endswith(f"= {dx}")


def shown_dx(browser) -> np.ndarray:
    rows = browser.find_elements("css selector", ".row .dx")
    return np.array([float(row.get_attribute("data-value")) for row in rows])


def dx_of(x, dy) -> np.ndarray:
    """Batch norm's dx by the kernel."""
    running = dict(running_mean=np.zeros(1), running_var=np.ones(1), training=True)
    gamma = np.full(1, batch_norm.GAMMA)
    columns = np.array(x)[:, None], np.array(dy)[:, None]
    _, saved = batch_norm_reference.forward(columns[0], gamma, np.zeros(1), **running)
    return batch_norm_reference.backward(columns[1], saved)[0][:, 0]


def test_the_dx_of_batch_norm_are_those_of_the_kernel(browser):
    visit(browser, path("batch_norm"))
    x, dy = list(batch_norm.X), list(batch_norm.DY)
    np.testing.assert_allclose(shown_dx(browser), dx_of(x, dy), atol=1e-9)
    slider = browser.find_element("id", "value-2")
    slider.send_keys("\ue014" * 7)  # the right arrow
    x[2] += 0.7
    assert text(browser, "value-2-value") == f"{x[2]:.1f}"
    np.testing.assert_allclose(shown_dx(browser), dx_of(x, dy), atol=1e-9)
    browser.find_element("css selector", "input[value=dy]").click()
    value(browser, "value-0", 3.5)
    dy[0] = 3.5
    np.testing.assert_allclose(shown_dx(browser), dx_of(x, dy), atol=1e-9)
    assert text(browser, "sum-dx") == "0.000"
    browser.find_element("id", "again").click()
    np.testing.assert_allclose(shown_dx(browser), dx_of(batch_norm.X, batch_norm.DY), atol=1e-9)


@pytest.mark.parametrize(
    "bug",
    [("(-scale * dbeta)", "(scale * dbeta)"), ("(-scale * h * dgamma)", "(scale * h * dgamma)")],
)
def test_a_planted_sign_of_the_batch_norm_page_is_found(browser, tmp_path, bug):
    page = path("batch_norm").read_text(encoding="utf-8")
    assert page.count(bug[0]) == 1
    (tmp_path / "page.html").write_text(page.replace(*bug), encoding="utf-8")
    visit(browser, tmp_path / "page.html")
    assert not np.allclose(shown_dx(browser), dx_of(batch_norm.X, batch_norm.DY))
    assert "ARE NOT" in text(browser, "checked")


def test_the_graph_page_ends_with_the_gradients_of_backward(browser):
    visit(browser, path("graph"))
    steps, gradients = graph.trace()
    assert [step["node"] for step in steps] == [*reversed(graph.CHAIN), "x"]
    button = browser.find_element("id", "next")
    for _ in steps:
        assert button.is_enabled()
        button.send_keys(" ")
    assert not button.is_enabled()
    rows = browser.find_elements("css selector", "#pending tr")
    shown = {row.get_attribute("data-of"): row.text.split()[-2:] for row in rows}
    assert shown == {name: [f"{v:.3f}" for v in pair] for name, pair in gradients.items()}
    a, b = (part[1] for part in steps[-1]["parts"])
    assert f"{a:.3f} + {b:.3f} = {gradients['x'][1]:.3f}" in text(browser, "sentence")


def test_the_sectors_shown_are_those_of_the_addresses(browser):
    visit(browser, path("sectors"))
    for rung in sectors.LINES:
        browser.find_element("css selector", f"input[value={rung}]").click()
        for array, (elements, size) in sectors.loads(rung).items():
            browser.find_element("css selector", f"input[value={array}]").click()
            for warp, load in ((0, 0), (1, 3), (elements.shape[2] - 1, elements.shape[3] - 1)):
                value(browser, "warp", warp), value(browser, "load", load)
                numbers = elements[0, 0, warp, load][:, None] + np.arange(size)
                shown = browser.find_element("id", "sentence")
                assert int(shown.get_attribute("data-sectors")) == len(np.unique(numbers // 8))
                assert f"want {len(np.unique(numbers))} different" in shown.text


@pytest.mark.emulator
@pytest.mark.skipif(host.problem() is not None, reason=f"no emulator: {host.problem()}")
@pytest.mark.parametrize("rung", sectors.LINES)
def test_the_emulator_counts_the_sums_of_the_sectors_page(rung):
    arrays = ladder.inputs(np.random.default_rng(0), sectors.SHAPE)
    with cuda.count() as counts:
        rungs.run(rung, *arrays)
    sums = sectors.sums(rung)
    assert {name: getattr(counts, name) for name in sums} == sums


@pytest.mark.parametrize("name", pages.NAMES)
def test_a_page_fits_a_phone_and_every_control_has_a_name(browser, name):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    visit(browser, path(name))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    nameless = browser.execute_script("""
        return [...document.querySelectorAll("input, button, svg, a")].filter((e) =>
            !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length)).length
    """)
    assert nameless == 0
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
