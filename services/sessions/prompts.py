"""Prompts: from what a person asked to a durable input, and from the input to its answer."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec

from services.channels.http.addresses import Addresses
from services.channels.http.targets import BadTarget, target_of
from services.config import AgentConfig
from services.errors import Conflict, Invalid, KeyReused, NotFound
from services.faults import Faults
from services.sessions.values import Accepted, WrongState, session_id
from services.streams.event import Event, EventInput, Offset, StreamId
from services.streams.keys import is_session
from services.streams.log import Appended, Log
from services.streams.payload import Policy
from services.streams.vocabulary import InputReceived, InputWithdrawn, StreamCreated, TurnSettled
from services.tokens import TokenId

DEFAULT_AGENT = "default"
NO_THREAD = "must be absent: the session began in no thread that could be answered in"
# A session of a channel begins with what was said there.
THREAD_WITHIN = 100

_REMEMBERED = 4096
_ATTEMPTS = 5
_WAIT_STEP_S = 0.5


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked. Absent values: a session of its own, the session's agent, the agent's policy.

    `callback` is a URL that the answer is delivered to as well; with `deliver` it is also said in the thread that the
    session began in.
    """

    text: str
    session: str | None = None
    agent: str | None = None
    policy: Policy | None = None
    callback: str | None = None
    deliver: bool = False


class Prompts:
    """Accepts prompts for `agents` and waits for their turns. `reachable` is where callbacks may go."""

    def __init__(
        self, log: Log, agents: Mapping[str, AgentConfig], faults: Faults, reachable: Addresses
    ) -> None:
        self._log = log
        self._agents = agents
        self._reachable = reachable
        self._faults = faults
        self._agent_of: OrderedDict[StreamId, str] = OrderedDict()

    def accept(self, prompt: Prompt, *, token: TokenId, key: str | None = None) -> Accepted:
        """Append the prompt to its session. The same (token, key) with the same content finds it again.

        Without a session, one is made: its id follows from (token, key), or is random without a key.
        Raises: Invalid, NotFound (session), WrongState (another agent), KeyReused, StreamPaused,
        Overloaded, Unavailable.
        """
        if not prompt.text.strip():
            raise Invalid("text", "must not be empty")
        if prompt.agent is not None and prompt.agent not in self._agents:
            raise Invalid(
                "agent", f"there is no agent {prompt.agent!r}, only {', '.join(sorted(self._agents))}"
            )
        self._check_callback(prompt.callback)
        if prompt.deliver and prompt.session is None:
            raise Invalid("deliver", NO_THREAD)
        event_key = None if key is None else f"prompt:{token}:{key}"
        if prompt.session is None:
            accepted = self._open(StreamId(f"prompt:{_new_id(token, key)}"), prompt, event_key)
        else:
            accepted = self._continue(session_id(prompt.session), prompt, event_key)
        self._faults.at("web.appended")
        return accepted

    def wait(
        self,
        session: str,
        offset: Offset,
        *,
        timeout_s: float,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> TurnSettled | None:
        """Wait for the turn that answers the input at `offset`; None when it is not settled in time, withdrawn,
        silent and so never answered, or `is_stopping` becomes true. Raises: Unavailable."""
        ends = time.monotonic() + timeout_s
        with self._log.tail(StreamId(session), after=offset - 1) as tail:
            while (left := ends - time.monotonic()) > 0 and not is_stopping():
                for event in tail.next(min(left, _WAIT_STEP_S)):
                    if not isinstance(event, Event):
                        continue
                    if event.type == "turn.settled":
                        settled = event.decode(TurnSettled)
                        if offset in settled.inputs:
                            return settled
                    elif _ends_hope(event, offset):
                        return None
        return None

    def _open(self, stream: StreamId, prompt: Prompt, key: str | None) -> Accepted:
        agent = prompt.agent or DEFAULT_AGENT
        try:
            done = self._create(stream, prompt, agent, key)
        except Conflict:
            return self._continue(stream, prompt, key)
        if done.duplicates[0] and prompt.agent is not None and self._existing_agent(stream) != agent:
            raise KeyReused("the idempotency key was used before for another agent")
        return _accepted(stream, done)

    def _continue(self, stream: StreamId, prompt: Prompt, key: str | None) -> Accepted:
        if not is_session(stream):
            raise NotFound(f"session {stream}")
        for _ in range(_ATTEMPTS):
            agent = self._existing_agent(stream)
            if agent is not None:
                return _accepted(stream, self._add(stream, prompt, agent, key))
            if not stream.startswith("app:"):
                raise NotFound(f"session {stream}")
            try:
                return _accepted(stream, self._create(stream, prompt, prompt.agent or DEFAULT_AGENT, key))
            except Conflict:
                continue
        raise Conflict("session")

    def _create(self, stream: StreamId, prompt: Prompt, agent: str, key: str | None) -> Appended:
        source = stream.partition(":")[0]
        created = EventInput.of("stream.created", StreamCreated(agent=agent, source=source))
        return self._log.append(
            stream, [self._input(stream, prompt, agent, key)], create=created, expected=0, external=True
        )

    def _add(self, stream: StreamId, prompt: Prompt, agent: str, key: str | None) -> Appended:
        if prompt.agent not in (None, agent):
            raise WrongState(f"the session belongs to the agent {agent!r}")
        return self._log.append(
            stream, [self._input(stream, prompt, agent, key)], if_exists=True, external=True
        )

    def _input(self, stream: StreamId, prompt: Prompt, agent: str, key: str | None) -> EventInput:
        config = self._agents.get(agent)
        policy = prompt.policy or (config.policy if config else "follow_up")
        for field, is_given in (("callback", prompt.callback is not None), ("deliver", prompt.deliver)):
            if policy == "silent" and is_given:
                raise Invalid(field, "must be absent from a silent prompt: nothing answers it")
        received = InputReceived(
            text=prompt.text,
            policy=policy,
            callback=prompt.callback,
            reply_to=self._thread(stream) if prompt.deliver else None,
        )
        return EventInput.of("input.received", received, key=key)

    def _thread(self, stream: StreamId) -> str:
        """Where the first who was heard in the session is answered. Raises: Invalid."""
        for event in self._log.read(stream, limit=THREAD_WITHIN):
            if event.type == "input.received" and (thread := event.decode(InputReceived).reply_to):
                return thread
        raise Invalid("deliver", NO_THREAD)

    def _check_callback(self, callback: str | None) -> None:
        """Refuse what no delivery could reach, as far as that shows without asking DNS."""
        if callback is None:
            return
        try:
            self._reachable.check_literal(target_of(callback))
        except BadTarget as error:
            raise Invalid("callback", error.reason) from None

    def _existing_agent(self, stream: StreamId) -> str | None:
        known = self._agent_of.get(stream)
        if known is not None:
            return known
        first = self._log.get(stream, 1)
        if first is None:
            return None
        known = self._agent_of[stream] = first.decode(StreamCreated).agent
        if len(self._agent_of) > _REMEMBERED:
            self._agent_of.popitem(last=False)
        return known


def _ends_hope(event: Event, offset: Offset) -> bool:
    """Whether `event` tells that no turn will answer the input at `offset`."""
    match event.type:
        case "input.received":
            return event.offset == offset and event.decode(InputReceived).policy == "silent"
        case "input.withdrawn":
            return event.decode(InputWithdrawn).input == offset
        case _:
            return False


def _accepted(stream: StreamId, done: Appended) -> Accepted:
    return Accepted(session=stream, offset=done.offsets[0], duplicate=done.duplicates[0])


def _new_id(token: TokenId, key: str | None) -> str:
    if key is not None:
        return hashlib.sha256(f"{token}\n{key}".encode()).hexdigest()[:32]
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
