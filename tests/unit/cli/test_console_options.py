from __future__ import annotations

from taskrunner.cli.console_options import ConsoleOptions

HERE = "http://127.0.0.1:8484"


def test_who_starts_a_service_is_told_how_its_console_is_opened() -> None:
    here = ConsoleOptions(console=True, console_url=None)
    assert here.lines(HERE, keys=False) == ("The console, in a browser:", f"  {HERE}/")
    assert f"taskrunner login {HERE} " in here.lines(HERE, keys=True)[1]
    known = ConsoleOptions(console=True, console_url="https://pipelines.example.com/")
    assert known.lines(HERE, keys=False)[1] == "  https://pipelines.example.com/"
    assert ConsoleOptions(console=False, console_url=None).lines(HERE, keys=True) == ()
