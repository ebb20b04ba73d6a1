"""The `turnwright` command."""

from __future__ import annotations

import click


@click.group()
@click.version_option(package_name="turnwright", prog_name="turnwright")
def main() -> None:
    """Run and talk to Turnwright."""
