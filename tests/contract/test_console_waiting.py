"""From what waits to the command that mends it: every fault that `why` knows, in the console."""

from __future__ import annotations

import re
from html import unescape

import pytest

from taskrunner.model.states import INSTANCE_TERMINAL
from taskrunner.testing import ServiceInProcess
from tests.contract.browser import Browser, app_of
from tests.contract.stores import ON_SQLITE
from tests.contract.v1 import seg
from tests.contract.why_faults import FAULTS, Fault, first

pytestmark = ON_SQLITE

_OVER = {str(status) for status in INSTANCE_TERMINAL}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_one_step_leads_from_what_waits_to_the_command_that_mends_it(
    world: ServiceInProcess, fault: Fault
) -> None:
    pipeline, about = fault.make(world)
    why = world.why(pipeline, about)
    root = first(why, about).root
    if about is None and not why.pipeline:
        about = why.waiting[0].instance_id
    browser = Browser(app_of(world, None))
    path = f"/p/{pipeline}/waiting"
    if about is not None:
        path = f"/p/{pipeline}/i/{seg(about)}"
        if world.statuses(pipeline)[about] in _OVER:
            # It waits for nothing: its page says how it ended, and has buttons for what to do.
            page = browser.follow(path)
            assert re.search(">(Rerun|Mark finished …)<", page)
            return
    page = unescape(re.sub(r"\s+", " ", browser.follow(path)))
    assert re.sub(r"\s+", " ", root.says) in page
    assert re.sub(r"\s+", " ", root.command) in page
