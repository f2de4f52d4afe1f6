"""A cell of the grid beside it, and rows that are collapsed, as links and parts have them."""

from __future__ import annotations

import pytest

from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import V1, seg
from tests.unit.service.worlds import ON_DEMAND, T, ref, shell

pytestmark = ON_SQLITE
NASTY = "<script>alert(1)</script>"


@pytest.fixture
def visitor(world: ServiceInProcess) -> Browser:
    browser = Browser(app_of(world))
    browser.sign_in("viewer")
    return browser


def test_the_address_of_a_grid_shows_a_cell_beside_it(
    world: ServiceInProcess, visitor: Browser
) -> None:
    made = V1(world).pipeline("orders", [ON_DEMAND, shell("A"), shell("B", after="A")])
    world.conclude(world.take(), "FAILED", "CommandFailed", f"exit code 1 {NASTY}")
    page = visitor.follow(f"/p/{made}/grid?cell={seg(f'@A_{T}')}")
    assert 'id="beside" class="beside"' in page
    assert "exit code 1 &lt;script&gt;" in page
    assert NASTY not in page
    assert "do/rerun" not in page, "a viewer finds no buttons"
    assert 'id="marked"' not in page
    # One that has gone, or is another pipeline's, leaves the grid as it is.
    page = visitor.follow(f"/p/{made}/grid?cell={seg('@Gone_1')}")
    assert 'class="beside"' not in page
    part = visitor.get(f"/p/{made}/i/{seg(f'@A_{T}')}/panel", **{"hx-request": "true"})
    assert (part.status, b"<html" in part.body, b"CommandFailed" in part.body) == (200, False, True)
    whole = visitor.get(f"/p/{made}/i/{seg(f'@A_{T}')}/panel")
    assert (whole.status, whole.headers["location"]) == (303, f"/p/{made}/i/@A_{T}")
    other = Browser(visitor.app)
    other.sign_in("other")
    assert other.get(f"/p/{made}/i/{seg(f'@A_{T}')}/panel", **{"hx-request": "true"}).status == 404


def test_rows_are_collapsed_by_what_the_definition_says(
    world: ServiceInProcess, visitor: Browser
) -> None:
    base = {"id": "Base", "name": NASTY, "maximumRetries": "1"}
    objects = [ON_DEMAND, base, shell("A", parent=ref("Base")), shell("B", parent=ref("Base"))]
    made = V1(world).pipeline("orders", [*objects, shell("C", workerGroup=NASTY)])
    found = V1(world).got(f"/pipelines/{made}/grid")["components"]
    assert {one["id"]: one.get("parent") for one in found} == {"A": "Base", "B": "Base", "C": None}
    page = visitor.follow(f"/p/{made}/grid?by=parent")
    assert page.count('<th scope="row"') == 2
    assert "2 components" in page
    assert page.count('<th scope="row"') == visitor.follow(
        f"/p/{made}/grid?by=parent&open=Nobody"
    ).count('<th scope="row"')
    page = visitor.follow(f"/p/{made}/grid?by=parent&open=Base")
    assert page.count('<th scope="row"') == 4
    assert NASTY not in visitor.follow(f"/p/{made}/grid?by=resource")
    assert visitor.follow(f"/p/{made}/grid?by={NASTY}").count('<th scope="row"') == 3
