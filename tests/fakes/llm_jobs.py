"""A session whose LLM jobs are run step by step on a real store, by models that say what they are told to."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from services.config.schema import PriceConfig
from services.errors import ConfigurationError
from services.faults import Faults
from services.jobs.claims import Claim
from services.jobs.outcome import Again, Result, Settled
from services.jobs.running import Running
from services.llm.prices import Prices
from services.llm.provider import Call, ChatRequest, Finished, Piece, Provider, ProviderError, TextDelta
from services.llm.registry import ProviderRegistry
from services.llm.runner import LLMRunner, Persona
from services.processors.advance import Held
from services.sessions.run_record import RunDetail
from services.sessions.runs import Runs
from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.vocabulary import InputReceived, StreamCreated, TurnSettled
from tests.fakes.store_stage import LEASE_MS, Hand, Stage

S = StreamId("app:models")
Said = Sequence[Piece | ProviderError]
HELLO: Said = (TextDelta("hello"), Finished(reason="stop", model="m-1"))


class Speaker:
    """A model that says one of `answers` per request, then hello."""

    name = "speaker"

    def __init__(self, answers: Sequence[Said], *, context_tokens: int = 1_000) -> None:
        self.answers = deque(answers)
        self.context_tokens = context_tokens
        self.asked: list[ChatRequest] = []

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """See `Provider`."""
        call.starting()
        self.asked.append(request)
        for piece in self.answers.popleft() if self.answers else HELLO:
            if isinstance(piece, ProviderError):
                raise piece
            yield piece


class Interrupted(Speaker):
    """A model in whose midst something happens."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """See `Provider`."""
        for piece in super().stream(request, call):
            yield piece
            self.meanwhile()


class Silent(Speaker):
    """A model that says nothing until it is shut up."""

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """See `Provider`."""
        call.starting()
        self.asked.append(request)
        shut = threading.Event()
        call.on_cancel(shut.set)
        yield from ()
        assert shut.wait(10)
        raise ProviderError("cancelled")


class Models(ProviderRegistry):
    """Resolves the names it has."""

    def __init__(self, models: Mapping[str, Speaker]) -> None:
        super().__init__(lambda: ())
        self._models = models

    def resolve(self, name: str) -> tuple[Provider, str]:
        """See `ProviderRegistry.resolve`."""
        if name not in self._models:
            raise ConfigurationError(f"no {name}")
        return self._models[name], name.partition(":")[2]


class LLMSession:
    """One session. `models` are asked in their order; `missing` ones are configured, and can not be had."""

    def __init__(
        self,
        stage: Stage,
        models: Mapping[str, Speaker],
        *,
        missing: Sequence[str] = (),
        prices: Mapping[str, PriceConfig] = {},
        wall_s: float = 60.0,
    ) -> None:
        self.stage, self.models = stage, models
        self.names = (*missing, *models)
        self.hand = stage.hand()
        self.running = Running(stage.store, self.hand.claims, stage.keys.cancel_channel, notices=False)
        self._runner = LLMRunner(
            stage.log,
            self.hand.claims,
            self.running,
            Models(models),
            lambda agent: Persona(system="", models=self.names, tools=(), idle_s=5, wall_s=wall_s),
            prices=Prices(prices),
            may_start=lambda: True,
            faults=Faults(None),
        )

    def say(self, text: str = "talk", *, silently: bool = False) -> None:
        """Somebody says something."""
        said = InputReceived(text=text, policy="silent" if silently else "follow_up")
        created = EventInput.of("stream.created", StreamCreated())
        self.stage.log.append(S, [EventInput.of("input.received", said)], create=created)
        self.hand.advancer.advance(S)

    def take(self, n: int = 1, *, hand: Hand | None = None) -> tuple[Held, Claim]:
        """Claim a request."""
        return (hand or self.hand).take_job("llm", JobId(f"{S}@{n}"))

    def attempt(self, n: int = 1) -> Result:
        """Run one attempt at a request that is due, and record how it ended."""
        held, claim = self.take(n)
        result = self._runner.run(held, claim)
        match result:
            case Settled(events=events):
                self.hand.advancer.settle(held, events, self.hand.advancer.stand(S))
                self.hand.advancer.advance(S)
            case Again():
                self.hand.claims.release(
                    held,
                    error=result.error,
                    delay_ms=result.delay_ms,
                    free=result.free,
                    extra=result.extra,
                )
        return result

    def until_settled(self, n: int = 1) -> list[int]:
        """Attempt until there is an outcome; the waits before the second attempt, the third and so on."""
        waits: list[int] = []
        while isinstance(result := self.attempt(n), Again):
            waits.append(result.delay_ms)
            self._wait(result.delay_ms)
        return waits

    def _wait(self, ms: int) -> None:
        """Let time pass without losing the lease."""
        while ms:
            step = min(ms, LEASE_MS // 2)
            self.stage.pass_time(step)
            assert self.hand.renew()
            ms -= step

    def asked(self) -> dict[str, int]:
        """How often each model was asked."""
        return {name: len(model.asked) for name, model in self.models.items()}

    def turns(self) -> list[TurnSettled]:
        """The settled turns."""
        return [event.decode(TurnSettled) for event in self.of("turn.settled")]

    def of(self, type: str) -> list[Event]:
        """The events of a type."""
        return [event for event in self.stage.events(S) if event.type == type]

    def record(self, n: int = 1) -> RunDetail:
        """The record of a run."""
        return Runs(self.stage.log).show(JobId(f"{S}@{n}"))
