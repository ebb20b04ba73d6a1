"""The environment is read in one place; who else touches it has a reason that stands here."""

from __future__ import annotations

from tests.architecture.sources import PRODUCT, modules, names

READER = "services/settings.py"
REASONS = {
    "deploy/supervisor/child.py": "hands the whole environment on to the processes it starts",
    "deploy/supervisor/console.py": "NO_COLOR is a convention of terminals, not a setting",
}
FORBIDDEN = ("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv")


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
