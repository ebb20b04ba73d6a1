"""Threads of Slack whose turns a test begins and ends by hand, and the workers that show it there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from services.channels.contract import Letter
from services.channels.ends import Answered, Ends
from services.channels.shown import Shown
from services.channels.slack.status import WorkingStatus
from services.channels.slack.working import SlackSigns
from services.channels.working import Working
from services.streams.event import EventInput, StreamId
from services.streams.vocabulary import InputReceived, ReplySettled, StreamCreated, TurnSettled, TurnStarted
from tests.fakes.letters import FakeSending
from tests.fakes.slack_letters import address_of, client_of, reply_to
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import Message
from tests.fakes.store_stage import Stage
from tests.worker.waiting import wait_until

ADD, REMOVE = "reactions.add", "reactions.remove"
# Nobody looks by itself: tests say when.
NEVER_S = 3_600.0


class Written(msgspec.Struct, frozen=True):
    """A commit, as workers hear of it."""

    stream: StreamId
    written: Sequence[EventInput] = ()


class SignStage:
    """A workspace that knows reactions only. `left` are the sessions whose signs were given up, and why."""

    def __init__(self, stage: Stage, slack: SlackServer) -> None:
        self.stage, self.slack = stage, slack
        slack.unavailable |= {"agents.sessions.setStatus", "assistant.threads.setStatus"}
        self.now_s = 1_800_000_000.0
        self.left: list[tuple[str, str, str]] = []
        self.signs = SlackSigns(WorkingStatus(client_of(slack)))
        self.shown = Shown(stage.store, stage.keys, wall_s=lambda: self.now_s)
        self.ends = Ends(self.shown, gave_up=lambda *told: self.left.append(told))
        self._turns = 0

    def session(self, asked: Message) -> StreamId:
        """The session of the thread that `asked` begins."""
        return StreamId(address_of(asked).encode())

    @contextmanager
    def worker(self) -> Iterator[Working]:
        """One that runs; it ends without a word, as one that is killed."""
        working = Working(self.stage.log, {"slack:": self.signs}, self.ends, poll_s=NEVER_S)
        working.start()
        yield working
        working.stop()

    def begin(self, asked: Message) -> Written:
        """A turn of the thread begins."""
        session = self.session(asked)
        said = InputReceived(text=asked.text, reply_to=session, message=asked.ts, source="slack")
        created = EventInput.of("stream.created", StreamCreated(source="slack"))
        event = EventInput.of("input.received", said)
        [offset] = self.stage.log.append(session, [event], create=created).offsets
        self._turns += 1
        started = EventInput.of("turn.started", TurnStarted(turn=self._turns, inputs=(offset,)))
        self.stage.log.append(session, [started])
        return Written(session, [started])

    def settle(self, asked: Message) -> None:
        """The turn of the thread is over, whatever becomes of its answer."""
        session = self.session(asked)
        inputs = [event.offset for event in self.stage.events(session) if event.type == "input.received"]
        settled = TurnSettled(turn=self._turns, outcome="answered", inputs=(inputs[-1],), text="here")
        self.stage.log.append(session, [EventInput.of("turn.settled", settled)])

    def failed(self, asked: Message) -> Written:
        """The answer could not be delivered."""
        event = EventInput.of("reply.failed", ReplySettled(job="r", error="poisoned"))
        return Written(self.session(asked), [event])

    def show(self, asked: Message) -> None:
        """A turn begins, and a worker shows it; then it dies."""
        with self.worker() as working:
            working.committed(self.begin(asked))
            wait_until(lambda: self.is_shown(asked))
            wait_until(lambda: not self.is_showing(asked))

    def answer(self, asked: Message) -> None:
        """The turn ends, and the channel has posted its answer."""
        self.settle(asked)
        Answered(self.signs, self.ends)(self.letter(asked), FakeSending())

    def letter(self, asked: Message) -> Letter:
        """The answer to `asked`."""
        letter = reply_to(asked, "here")
        session = self.session(asked)
        said = msgspec.structs.replace(letter.input, message=asked.ts)
        return msgspec.structs.replace(letter, session=session, input=said)

    def later(self, seconds: float) -> None:
        """Time passes, and some worker looks for what is left to be done."""
        self.now_s += seconds
        Working(self.stage.log, {"slack:": self.signs}, self.ends, poll_s=NEVER_S).look()

    def is_shown(self, asked: Message) -> bool:
        """Whether people see that somebody is at work."""
        return bool(asked.reactions.get("eyes"))

    def is_showing(self, asked: Message) -> bool:
        """Whether a worker is about to show it."""
        known = self.shown.find(self.session(asked), f"{self.session(asked)}@{asked.ts}")
        return known is not None and known.is_showing

    def is_known(self, asked: Message) -> bool:
        """Whether somebody still looks after it."""
        session = self.session(asked)
        return self.shown.find(session, f"{session}@{asked.ts}") is not None
