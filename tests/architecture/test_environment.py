"""The environment is read in one place; who else touches it has a reason that stands here."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.sources import PRODUCT, modules, names

READER = "services/settings.py"
REASONS = {
    "deploy/supervisor/child.py": "hands the whole environment on to the processes it starts",
    "deploy/supervisor/console.py": "NO_COLOR is a convention of terminals, not a setting",
}
FORBIDDEN = ("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv")


ROOT = Path(__file__).parents[2]
READING = ("services/settings.py", "services/channel_settings.py")
# Read with the names of the vendors before them.
OF_VENDORS = {"API_KEY", "BASE_URL"}


def _touching() -> set[str]:
    return {
        str(path)
        for path in modules(*PRODUCT)
        if any(name == each or name.startswith(f"{each}.") for name in names(path) for each in FORBIDDEN)
    }


def test_only_the_settings_read_the_environment() -> None:
    assert _touching() - REASONS.keys() == {READER}


def test_no_reason_outlives_its_need() -> None:
    assert REASONS.keys() <= _touching()


def test_the_readme_names_every_variable_that_is_not_for_tests() -> None:
    code = "".join((ROOT / path).read_text(encoding="utf-8") for path in READING)
    read = set(re.findall(r'\bread(?:_secret)?\("([A-Z_]+)"', code)) - OF_VENDORS
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = {name.removesuffix("_FILE") for name in re.findall(r"TURNWRIGHT_([A-Z_]+)", readme)}

    assert len(read) > 20
    assert sorted(name for name in read - told if not name.startswith("TEST_")) == []
