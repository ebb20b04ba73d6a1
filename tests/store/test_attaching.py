"""Attaching configured processors to the streams that were there before them."""

from __future__ import annotations

from services.errors import Defect, TurnwrightError
from services.processors.attaching import Attacher
from services.processors.registry import ProcessorRegistry
from services.streams.event import StreamId
from tests.fakes.puppet import CREATED, Puppet, tell
from tests.fakes.store_servers import Console
from tests.fakes.store_stage import Stage
from tests.worker.waiting import wait_until

NAMES = ("a", "b", "c")


def test_a_stream_that_can_not_be_read_keeps_no_other_from_its_processor(stage: Stage, bare: Console) -> None:
    for name in NAMES:
        stage.log.append(StreamId(name), [tell()], create=CREATED)
    bare.execute_command("HSET", stage.keys.meta(StreamId("b")), "p:breaker", "garbage")
    failures: list[TurnwrightError] = []
    registry = ProcessorRegistry([], {"puppet": Puppet()}, [("puppet", "*")])
    attacher = Attacher(stage.log, registry, failed=failures.append)

    attacher.start()

    wait_until(lambda: stage.types(StreamId("a"))[-1] == "processor.attached")
    wait_until(lambda: stage.types(StreamId("c"))[-1] == "processor.attached")
    attacher.stop()
    assert [type(error) for error in failures] == [Defect]
