"""The measurements run and say what they measured; how fast a machine is does not matter here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bench import (
    c7_large_objects,
    c8_small_objects,
    p1_start,
    p2_idle,
    p3_latency,
    p4_throughput,
    p5_shipping,
    p6_calls,
    p7_long_polls,
    p8_big_store,
    p9_plan,
    run,
)
from bench.copies import Contest, Run, contest
from bench.harness import Figure, percentile

pytestmark = pytest.mark.xdist_group("alone")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measure", "lines"),
    [
        pytest.param(lambda: p1_start.measure(1), 3, id="p1"),
        pytest.param(lambda: p2_idle.measure(0.2, 0.1), 3, id="p2"),
        pytest.param(lambda: p3_latency.measure(2, beside=()), 2, id="p3"),
        pytest.param(lambda: p4_throughput.measure(10), 3, id="p4"),
        pytest.param(lambda: p5_shipping.measure(1_000_000, 1), 2, id="p5"),
        pytest.param(lambda: p6_calls.measure(5, 20), 4, id="p6"),
        pytest.param(lambda: p7_long_polls.measure(3, 2, 0.1, ["SQLite"]), 4, id="p7"),
        pytest.param(lambda: p8_big_store.measure(1000, 0.1, ["SQLite"]), 10, id="p8"),
        pytest.param(lambda: p9_plan.measure([1, 2], 1, ["SQLite"]), 3, id="p9"),
        pytest.param(lambda: c7_large_objects.measure(1, 9_000_000), 6, id="c7"),
        pytest.param(lambda: c8_small_objects.measure(1, 3), 3, id="c8"),
    ],
)
def test_a_measurement_runs(measure: Callable[[], Iterable[Figure]], lines: int) -> None:
    figures = list(measure())

    assert len(figures) == lines
    assert all(figure.measured for figure in figures)
    assert any(figure.goal for figure in figures)


def test_a_measurement_that_breaks_is_told_and_counts_as_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(run.MEASUREMENTS, "p1", ("bench.absent", "nothing"))

    assert run.main(["p1"]) == 1
    assert "broke: ModuleNotFoundError" in capsys.readouterr().out


def test_a_name_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["p0"]) == 2
    assert "there are p1, p2" in capsys.readouterr().out


def test_the_report_is_a_table_a_figure() -> None:
    figure = Figure(id="P1", what="a | b", measured="2 s", goal="<= 1 s", met=False)

    text = run.report([("p1", [figure])])

    assert "| a \\| b | 2 s | <= 1 s | **not met** |" in text
    assert Path(run.RESULTS).name == "RESULTS.md"


@pytest.mark.parametrize(("percent", "value"), [(0, 1.0), (50, 2.0), (99, 3.0), (100, 3.0)])
def test_percentiles_are_values_that_were_measured(percent: float, value: float) -> None:
    assert percentile([3.0, 1.0, 2.0], percent) == value


def ran(wall_s: float, cpu_s: float = 1.0, rss_mb: float = 50.0) -> Run:
    return Run(wall_s=wall_s, cpu_s=cpu_s, rss_mb=rss_mb)


def test_ratios_are_medians_of_rounds_in_which_both_ran() -> None:
    turns = iter([4.0, 2.0, 9.0, 3.0, 5.0, 5.0])

    found = contest(3, ours=lambda: ran(next(turns)), peer=lambda: ran(next(turns)))

    assert found.slower("C1", "peer", 2.0).met
    assert not found.slower("C1", "peer", 1.9).met
    assert not found.faster("C1", "peer", 1.0).met
    assert "2.00 x; CPU 1.00 s to 1.00 s" in found.slower("C1", "peer", 2.0).measured


def test_memory_is_the_most_of_all_rounds() -> None:
    found = Contest({"ours": [ran(1, rss_mb=50), ran(1, rss_mb=70)], "peer": [ran(1), ran(1)]})

    assert found.memory("C1", 71).met
    assert not found.memory("C1", 70).met
