"""What is needed before a vendor can be asked: its SDK, and a key or an address of your own."""

from __future__ import annotations

from importlib.util import find_spec

from services.errors import ConfigurationError
from services.settings import VendorAccess


def check_access(vendor: str, model: str, access: VendorAccess) -> None:
    """Imports nothing. Raises: ConfigurationError that says what to set or to install.

    A server of one's own, named by `<VENDOR>_BASE_URL`, is asked without a key when none is set.
    """
    where = f"model '{vendor}:{model}'"
    problems = [f"{where}: {problem}" for problem in access.problems]
    prefix = vendor.upper()
    if not model:
        problems.append(f"{where}: name a model: {vendor}:<model>")
    if access.key is None and access.base_url is None and not access.problems:
        problems.append(f"{where}: set {prefix}_API_KEY (or {prefix}_API_KEY_FILE)")
    if find_spec(vendor) is None:
        problems.append(f"{where}: its SDK is not installed: pip install 'turnwright[{vendor}]'")
    if problems:
        raise ConfigurationError(*problems)
