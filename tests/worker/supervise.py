"""A program for the supervisor's tests: runs the roles of a JSON document under a real supervisor.

Usage: `python -m tests.worker.supervise HOME PLAN`, where PLAN is `{"guard": bool, "grace_s": s, "total_s":
s, "wait_s": s, "stages": [{name: [arg, ...]}, ...]}`. A role whose arguments hold `{lock}` inherits the
directory's lock. A role is ready once it wrote the file `<home>/<name>.ready`, if its arguments mention
`.ready`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from deploy.datadir import DataDirectory, lock_data_directory
from deploy.rolesfile import write_roles
from deploy.supervisor.console import Console
from deploy.supervisor.role import Role
from deploy.supervisor.supervisor import StopTimes, Supervisor
from services.errors import ConfigurationError


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, and how."""

    stages: list[dict[str, list[str]]]
    guard: bool = False
    grace_s: float = 8.0
    total_s: float = 9.3
    wait_s: float = 2.0


def main() -> int:
    """Lock the directory, run the plan, exit as the supervisor does; 2 when refused."""
    home, plan = Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Plan)
    console = Console(sys.stdout)
    try:
        directory = lock_data_directory(home, wait_s=plan.wait_s)
    except ConfigurationError as error:
        console.say(f"refused: {error}")
        console.close()
        return 2
    supervisor = Supervisor(
        [[_role(directory, name, command) for name, command in stage.items()] for stage in plan.stages],
        reports=console,
        on_state=lambda states: write_roles(home, supervisor=directory.supervisor, roles=states),
        on_ready=lambda: console.say("all ready"),
        stop_times=StopTimes(grace_s=plan.grace_s, total_s=plan.total_s),
        with_guard=plan.guard,
    )
    status = supervisor.run()
    directory.close()
    console.close()
    return status


def _role(directory: DataDirectory, name: str, command: list[str]) -> Role:
    ready = directory.home / f"{name}.ready"
    return Role(
        name=name,
        command=tuple(part.replace("{lock}", "") for part in command),
        is_ready=ready.exists if any(".ready" in part for part in command) else None,
        inherited=(directory.lock_fd,) if any("{lock}" in part for part in command) else (),
        passing_causes={"No space left on device": "disk full"},
    )


if __name__ == "__main__":
    sys.exit(main())
