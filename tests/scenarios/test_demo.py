"""`make demo` shows every way in and out, and says by its exit status whether all were answered."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.scenarios.platform import FOREIGN, ROOT


def test_the_demo_is_answered_everywhere() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
        timeout=180,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    answered = re.findall(r"^(.*?) +answered in +\d+ ms: .*hello", done.stdout, re.MULTILINE | re.IGNORECASE)
    assert answered == ["prompt over HTTP", "mention in Slack", "mention on GitHub"]
    missed = r"^missed tick +answered in +\d+ ms: due .*:00:00.*, dispatched to trigger:demo:\w+: answered$"
    assert re.search(missed, done.stdout, re.MULTILINE)
