"""How figures are judged and shown; the measurements themselves are run by `make bench`."""

from __future__ import annotations

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.figures import Figure, NotMeasured, percentile, spread, table


def test_a_percentile_is_a_sample_that_so_many_do_not_exceed() -> None:
    values = [float(each) for each in range(1, 201)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (100, 198, 7)


def test_a_percentile_of_nothing_is_not_measured() -> None:
    with pytest.raises(NotMeasured):
        percentile([], 50)


@pytest.mark.parametrize(("value", "bound", "verdict"), [(3, 3, "PASS"), (3.01, 3, "MISS"), (9, None, "")])
def test_a_figure_passes_up_to_its_bound(value: float, bound: float | None, verdict: str) -> None:
    assert Figure(name="ack", value=value, unit="ms", samples=1, bound=bound).verdict == verdict


def test_a_table_shows_the_bound_beside_the_figure() -> None:
    shown = table(spread("ack", [1.0, 2.0, 11.0], bounds=(3, 10), note="quiet")).splitlines()
    assert [line.split()[:2] for line in shown] == [["figure", "value"], ["ack", "p50"], ["ack", "p99"]]
    assert "2.00 ms   <= 3 ms   PASS" in shown[1]
    assert "11.00 ms  <= 10 ms  MISS  3        quiet" in shown[2]


def test_an_unknown_measurement_is_refused_with_the_names_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["speed"])
    assert refused.value.code == 2
    assert "no measurement 'speed', only ack, turn" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "verdict"), [(0.7, "PASS"), (0.69, "MISS")])
def test_a_figure_may_have_a_lower_bound(value: float, verdict: str) -> None:
    figure = Figure(name="turns/s", value=value, unit="x", samples=1, least=0.7)
    assert (figure.verdict, figure.limits) == (verdict, ">= 0.7 x")
