from __future__ import annotations

from markupsafe import Markup

from taskrunner.console.marks import cells, squares
from taskrunner.console.views.grid import Box
from taskrunner.console.views.pipelines import Square
from taskrunner.console.views.words import Sign, sign

NASTY = "<i>\"'&"
ESCAPED = "&lt;i&gt;&#34;&#39;&amp;"


def test_a_mark_leads_to_what_it_says_the_status_of() -> None:
    mark = Square(address="/p/df-1/run/2026", sign=sign("FAILED"), title="2026: failed")
    assert squares([mark, mark]) == Markup(
        2 * '<a class="square bad" href="/p/df-1/run/2026" aria-label="2026: failed">✕</a>'
    )


def test_a_row_of_a_grid_has_a_place_for_each_run() -> None:
    box = Box(address="/p/df-1/i/@A", sign=sign("FINISHED"), title="A", attempts=1, late=False)
    linked = '<td><a class="cell ok" href="/p/df-1/i/@A"{} aria-label="A">✓</a></td>'
    empty = '<td><span class="cell none"></span></td>'
    assert str(cells([box, None], of_group=False)) == linked.format("") + empty
    assert str(cells([box], of_group=True)) == linked.format(" data-group")


def test_what_others_say_is_text_in_it() -> None:
    nasty = Square(address=NASTY, sign=Sign(NASTY, NASTY, NASTY), title=NASTY)
    assert str(squares([nasty])) == (
        f'<a class="square {ESCAPED}" href="{ESCAPED}" aria-label="{ESCAPED}">{ESCAPED}</a>'
    )
