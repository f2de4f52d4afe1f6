"""Templates and files: what is vendored is what was published, and templates hold no holes."""

from __future__ import annotations

import gzip
import hashlib
import re

from taskrunner.console.render import STATIC, environment, static_address, static_files

TEMPLATES = STATIC.parent / "templates"


def test_files_of_others_have_the_hashes_that_they_were_published_with() -> None:
    told = dict(
        re.findall(r"\| (\S+\.js) \|.*\b([0-9a-f]{64}) \|", (STATIC / "VENDORED.md").read_text())
    )
    assert set(told) == {path.name for path in STATIC.glob("*.min.js")}
    for name, mark in told.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == mark


def test_every_template_compiles_and_turns_off_no_escaping() -> None:
    paths = sorted(path.relative_to(TEMPLATES) for path in TEMPLATES.rglob("*.html"))
    assert paths
    for path in paths:
        text = (TEMPLATES / path).read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup|\sstyle=|\son\w+=|<script>", text), path
        environment().get_template(str(path))


def test_commands_are_shown_by_the_macros_that_know_the_service_address() -> None:
    """But for that of the page to sign in on, which has it in its own words."""
    shown = {
        str(path.relative_to(TEMPLATES))
        for path in TEMPLATES.rglob("*.html")
        if 'class="command"' in path.read_text(encoding="utf-8")
    }
    assert shown == {"macros.html", "enter.html"}


def test_files_have_addresses_that_change_with_them_and_come_compressed() -> None:
    address = static_address("console.css")
    mark = hashlib.sha256(static_files()["console.css"]).hexdigest()
    assert address == f"/console/static/{mark[:12]}/console.css"
    assert gzip.decompress(static_files()["console.css.gz"]) == static_files()["console.css"]
    assert "VENDORED.md" not in static_files()
