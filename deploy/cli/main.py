"""The `turnwright` command: its list of commands, each loaded when it is called, and how errors end it.

Exit status 0 on success, 2 for wrong usage or configuration, 130 when interrupted, otherwise 1.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from services.errors import ConfigurationError, TurnwrightError

# Where each command is, and its line in the list of them: loading them all would make every call slow.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("deploy.cli.roles", "Run everything on this machine: stores, web, workers, beat."),
    "web": ("deploy.cli.roles", "Run one web process."),
    "worker": ("deploy.cli.roles", "Run one worker process."),
    "beat": ("deploy.cli.roles", "Run one beat process."),
    "ask": ("deploy.cli.remote", "Send a prompt and print the answer."),
    "sessions": ("deploy.cli.remote", "List sessions, newest first."),
    "events": ("deploy.cli.remote", "Print the events of a session."),
    "why": ("deploy.cli.remote", "Say what a session waits for."),
    "cancel": ("deploy.cli.remote", "Cancel the running turn of a session."),
    "pause": ("deploy.cli.remote", "Let a session take no more inputs."),
    "resume": ("deploy.cli.remote", "Let a paused session take inputs again."),
    "runs": ("deploy.cli.runs", "List the runs of a session, or show one."),
    "processors": ("deploy.cli.processors", "List processors, or those of a session."),
    "outbox": ("deploy.cli.outbox", "List undelivered replies; send one again."),
    "inbound": ("deploy.cli.inbound", "List received webhooks and what became of each."),
    "triggers": ("deploy.cli.triggers", "List triggers, define them, explain what became of each tick."),
    "spool": ("deploy.cli.spool", "Say what waits on a host for the store; retry what that refused."),
    "audit": ("deploy.cli.audit", "List whatever has not come to an end."),
    "config": ("deploy.cli.config", "Check the configuration or show its schema."),
    "doctor": ("deploy.cli.doctor", "Check that everything fits together."),
}


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Who read our output has seen enough; click would call that a failure. Into nothing goes what
            # is left to write, or Python would complain when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


_EPILOG = """Each command explains itself: turnwright ask --help.

What it does not take as an option it reads from the environment (TURNWRIGHT_HOME, TURNWRIGHT_URL, …) and from
turnwright.toml; `turnwright config check` shows what is in effect. Exit status: 0 done, 1 not done, 2 wrong usage or
configuration."""


@click.group(cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="turnwright", prog_name="turnwright")
def turnwright() -> None:
    """Run LLM agents durably, and talk to them."""


def main() -> None:
    """The command's entry point; ends the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; the exit status. Known errors are said on stderr, without a traceback."""
    try:
        _check_text(arguments)
        result = turnwright.main(arguments, prog_name="turnwright", standalone_mode=False)
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ConfigurationError as error:
        _complain(*error.problems)
        return 2
    except TurnwrightError as error:
        _complain(str(error) or type(error).__name__)
        return 1
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0


def _check_text(arguments: list[str]) -> None:
    """Bytes that are no text in this locale come as half characters, which can be neither sent nor printed."""
    for place, argument in enumerate(arguments, start=1):
        if any("\ud800" <= char <= "\udfff" for char in argument):
            raise click.UsageError(f"Argument {place} is not valid UTF-8.")


def _complain(*problems: str) -> None:
    for problem in problems:
        click.echo(f"turnwright: {problem}", err=True)
