"""`python -m turnwright`: the same as the `turnwright` command."""

from __future__ import annotations

from deploy.cli.main import main

if __name__ == "__main__":
    main()
