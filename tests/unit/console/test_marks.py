from __future__ import annotations

from markupsafe import Markup

from taskrunner.console.marks import squares
from taskrunner.console.views.pipelines import Square
from taskrunner.console.views.words import Sign, sign

NASTY = "<i>\"'&"
ESCAPED = "&lt;i&gt;&#34;&#39;&amp;"


def test_a_mark_leads_to_what_it_says_the_status_of() -> None:
    mark = Square(address="/p/df-1/run/2026", sign=sign("FAILED"), title="2026: failed")
    assert squares([mark, mark]) == Markup(
        2 * '<a class="square bad" href="/p/df-1/run/2026" aria-label="2026: failed">✕</a>'
    )


def test_what_others_say_is_text_in_it() -> None:
    nasty = Square(address=NASTY, sign=Sign(NASTY, NASTY, NASTY), title=NASTY)
    assert str(squares([nasty])) == (
        f'<a class="square {ESCAPED}" href="{ESCAPED}" aria-label="{ESCAPED}">{ESCAPED}</a>'
    )
