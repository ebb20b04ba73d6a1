"""`turnwright doctor`: check that everything fits together, without a running server if need be."""

from __future__ import annotations

import click
import msgspec

from deploy.cli.examples import examples
from deploy.cli.output import say, table
from services.diagnosis.checkup import check_up
from services.settings import load_settings


@click.command(epilog=examples("turnwright doctor", "turnwright doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> int:
    """Check configuration, channels, processes, stores and collector, and say what to do.

    It looks with this shell's environment. Exit status 1 when there is a problem; a warning is none.
    """
    findings = list(check_up(load_settings()))
    problems, warnings = (
        sum(finding.state == state for finding in findings) for state in ("problem", "warning")
    )
    if as_json:
        click.echo(msgspec.json.encode({"ok": not problems, "findings": findings}))
    else:
        table(("part", "", "finding"), [(f.part, f.state, f.text) for f in findings])
        beside = f", {warnings} warning(s)" if warnings else ""
        say(f"{problems} problem(s) found{beside}" if problems else f"no problem found{beside}")
    return 1 if problems else 0
