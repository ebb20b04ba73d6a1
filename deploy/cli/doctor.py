"""`turnwright doctor`: check that everything fits together, without a running server if need be."""

from __future__ import annotations

import click
import msgspec

from deploy.cli.output import say, table
from services.diagnosis.checkup import check_up
from services.settings import load_settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> int:
    """Check that everything fits together. Exit status 1 when something is wrong."""
    findings = list(check_up(load_settings()))
    problems = sum(finding.state == "problem" for finding in findings)
    if as_json:
        click.echo(msgspec.json.encode({"ok": not problems, "findings": findings}))
    else:
        table(("part", "", "finding"), [(f.part, f.state, f.text) for f in findings])
        say("no problem found" if not problems else f"{problems} problem(s) found")
    return 1 if problems else 0
