"""Counts of several processes, added up in the store and shown as Prometheus reads them."""

from __future__ import annotations

import pytest

from services.diagnosis.backlog import Backlog
from services.diagnosis.metrics import Metrics
from services.diagnosis.scrape import Scrape
from services.diagnosis.totals import Totals
from services.diagnosis.wait import WorkerCensus
from services.streams.event import EventInput, StreamId
from services.streams.inbound_events import InboundReceived
from services.telemetry.counters import MOST_FIELDS, Counters, Series, field_of, series_of
from tests.fakes.puppet import CREATED
from tests.fakes.store_stage import Stage

TURNS = "turnwright_turns_total"
STORE = "turnwright_store_seconds"


def shown(stage: Stage) -> list[str]:
    """The lines of a scrape by a process that counted nothing itself."""
    totals = Totals(stage.store, stage.keys, Counters())
    census = WorkerCensus(0, 0, 0, {})
    inbound = Backlog(stage.log).sizes
    metrics = Metrics(stage.store, stage.due, lambda: census, totals, "1", inbound=inbound)
    return Scrape(lambda: metrics, Counters(), "1").text().splitlines()


def test_what_processes_counted_is_added_up(stage: Stage) -> None:
    for n in (2, 3):
        counters = Counters()
        counters.add(TURNS, "answered", by=n)
        Totals(stage.store, stage.keys, counters).add()

    assert f'{TURNS}{{outcome="answered"}} 5' in shown(stage)


def test_a_process_adds_only_what_is_new(stage: Stage) -> None:
    counters = Counters()
    totals = Totals(stage.store, stage.keys, counters)
    for _ in range(3):
        counters.add(TURNS, "failed")
        totals.add()
        totals.add()

    assert f'{TURNS}{{outcome="failed"}} 3' in shown(stage)


def test_stopping_adds_what_is_left(stage: Stage) -> None:
    counters = Counters()
    totals = Totals(stage.store, stage.keys, counters)
    totals.start()
    counters.add(TURNS, "limited")
    totals.stop()

    assert f'{TURNS}{{outcome="limited"}} 1' in shown(stage)


def test_a_histogram_counts_up_to_each_bound(stage: Stage) -> None:
    counters = Counters()
    for seconds in (0.0004, 0.0005, 0.003, 9.0):
        counters.observe(STORE, seconds, "append")
    Totals(stage.store, stage.keys, counters).add()

    lines = shown(stage)

    assert f'{STORE}_bucket{{script="append",le="0.0005"}} 2' in lines
    assert f'{STORE}_bucket{{script="append",le="0.005"}} 3' in lines
    assert f'{STORE}_bucket{{script="append",le="2.5"}} 3' in lines
    assert f'{STORE}_bucket{{script="append",le="+Inf"}} 4' in lines
    assert f'{STORE}_count{{script="append"}} 4' in lines
    assert f'{STORE}_sum{{script="append"}} 9.0039' in lines


def test_money_is_shown_in_dollars(stage: Stage) -> None:
    counters = Counters()
    counters.add("turnwright_cost_usd_total", "acme:tiny", by=1_250_000)
    Totals(stage.store, stage.keys, counters).add()

    assert 'turnwright_cost_usd_total{model="acme:tiny"} 1.25' in shown(stage)


def test_what_another_release_counted_is_left_out(stage: Stage) -> None:
    stage.store.client.hincrby(stage.keys.counts, "turnwright_of_tomorrow||x", 1)
    stage.store.client.hincrby(stage.keys.counts, "garbage", 1)
    stage.store.client.hincrby(stage.keys.counts, f"{TURNS}||one|too|many", 1)

    assert not any("tomorrow" in line or "garbage" in line or "many" in line for line in shown(stage))


def test_labels_that_never_end_are_counted_together() -> None:
    counters = Counters()
    for n in range(MOST_FIELDS + 50):
        counters.add("turnwright_llm_attempts_total", f"acme:{n}", "succeeded")

    totals = counters.totals()

    assert len(totals) == MOST_FIELDS + 1
    assert totals[Series("turnwright_llm_attempts_total", ("other", "other"))] == 50


@pytest.mark.parametrize("label", ["plain", "", "a|b", 'q"uote', "x" * 500])
def test_a_series_is_found_again_by_its_field(label: str) -> None:
    found = series_of(field_of(Series(TURNS, (label,))))

    assert found == Series(TURNS, (label.replace("|", "_")[:100],))


def test_deliveries_without_an_outcome_are_counted_by_sender_with_the_age_of_the_oldest(stage: Stage) -> None:
    assert "turnwright_inbound_oldest_seconds 0" in shown(stage)
    received = EventInput.of("inbound.received", InboundReceived(source="shop", kind="order", body="{}"))
    for stream in ("inbound:shop:ana", "inbound:shop:ben", "inbound:bank"):
        stage.log.append(StreamId(stream), [received], create=CREATED)
        stage.pass_time(2_000)

    lines = shown(stage)

    assert 'turnwright_inbound_pending{source="shop"} 2' in lines
    assert 'turnwright_inbound_pending{source="bank"} 1' in lines
    (age,) = (line for line in lines if line.startswith("turnwright_inbound_oldest_seconds "))
    assert 6.0 <= float(age.split()[1]) < 60
