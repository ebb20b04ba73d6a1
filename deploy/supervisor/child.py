"""One process of a role: started in a session of its own, its output read line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

from deploy.guard import Guard, die_with_parent
from deploy.supervisor.role import Role
from services.processes import started_at

_PROBE_EVERY_S = 0.05
_READ_BYTES = 65536
_READS_AT_ONCE = 16
_LONGEST_LINE = 65536


class Child:
    """A running process. `wake` is called from another thread when it became ready."""

    def __init__(self, role: Role, *, guard: Guard | None, wake: Callable[[], None]) -> None:
        self._process = _spawn(role, guard)
        self._guard = guard
        self._rest = b""
        self.is_output_over = False
        self._ready = threading.Event()
        self._gone = threading.Event()
        self.pid = self._process.pid
        self.started = started_at(self.pid) or ""
        stdout = self._process.stdout
        assert stdout is not None
        self._output = stdout
        os.set_blocking(stdout.fileno(), False)
        if role.is_ready is None:
            self._ready.set()
        else:
            probe = threading.Thread(target=self._probe, args=(role.is_ready, wake), daemon=True)
            probe.start()

    @property
    def output_fd(self) -> int:
        """Readable when there is something for `lines`."""
        return self._output.fileno()

    @property
    def is_ready(self) -> bool:
        """Whether the role's own question was answered with yes, once."""
        return self._ready.is_set()

    def lines(self) -> list[str]:
        """The complete lines written since, and at the end of the output what is left of one."""
        for _ in range(_READS_AT_ONCE):
            try:
                chunk = os.read(self._output.fileno(), _READ_BYTES)
            except BlockingIOError:
                break
            self._rest += chunk
            if not chunk:
                self.is_output_over = True
                break
        *lines, self._rest = self._rest.split(b"\n")
        if self._rest and (self.is_output_over or len(self._rest) > _LONGEST_LINE):
            lines.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", errors="replace").rstrip("\r") for line in lines]

    def has_ended(self) -> bool:
        """Whether it is dead and waited for. What it left of its process group ends with it."""
        if self._gone.is_set():
            return True
        if self._process.poll() is None:
            return False
        self._gone.set()
        self._kill_group()
        if self._guard is not None:
            self._guard.forget(self.pid)
        return True

    def ending(self) -> str:
        """How it ended, in words."""
        return _in_words(self._process.wait())

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.terminate()

    def kill(self) -> None:
        """End it and its children now."""
        if not self._gone.is_set():
            self._kill_group()

    def close(self) -> None:
        """Give back the pipe; after the end of its output."""
        self._output.close()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _probe(self, is_ready: Callable[[], bool], wake: Callable[[], None]) -> None:
        while not self._gone.is_set():
            if is_ready():
                self._ready.set()
                wake()
                return
            self._gone.wait(_PROBE_EVERY_S)


def _spawn(role: Role, guard: Guard | None) -> subprocess.Popen[bytes]:
    parent = os.getpid()
    process = subprocess.Popen(
        role.command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        env={**os.environ, **role.environment},
        pass_fds=role.inherited,
        # Signals of the terminal reach the supervisor only: it stops the roles in order.
        start_new_session=True,
        # Only one system call, or one write, happens between fork and exec.
        preexec_fn=guard.enter() if guard else lambda: die_with_parent(parent),
    )
    if guard is not None:
        guard.add(process.pid)
    return process


def _in_words(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
