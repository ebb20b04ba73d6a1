"""What is imported when, and what has to be installed for it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from services.errors import ConfigurationError
from services.llm.vendors.access import check_access
from services.settings import VENDORS, VendorAccess

ROOT = Path(__file__).parents[3]
# Extras that are no vendor's: what a GitHub App signs its name with.
OTHER_EXTRAS = {"github"}
RESOLVE = """
import sys
from services.engine import Engine
from services.llm.registry import ProviderRegistry
from services.settings import VendorAccess

access = VendorAccess(base_url="http://127.0.0.1:9/v1")
providers = ProviderRegistry(list, vendors={"openai": access, "anthropic": access})
providers.check(sys.argv[1:])
print(sorted({"openai", "anthropic", "pydantic_core", "httpx2"} & set(sys.modules)))
"""


def loaded_for(*models: str) -> list[str]:
    command = [sys.executable, "-c", RESOLVE, *models]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"\w+", told)


def test_no_sdk_is_imported_before_a_model_of_its_vendor_is_asked() -> None:
    assert not set(VENDORS) & set(loaded_for("offline"))
    assert not set(VENDORS) & set(loaded_for("openai:m", "anthropic:m"))


def test_a_missing_sdk_is_named_with_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'turnwright\[no_such_sdk\]'"):
        check_access("no_such_sdk", "m", VendorAccess(base_url="http://127.0.0.1:9"))


def test_every_vendor_is_an_extra_and_the_locks_pin_all_of_them() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) == set(VENDORS) | OTHER_EXTRAS
    for lock in ("requirements.lock", "requirements-dev.lock"):
        pinned = set(re.findall(r"^([a-z0-9_-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
        for requirements in extras.values():
            assert {re.split(r"[^a-z0-9_-]", each)[0] for each in requirements} <= pinned
