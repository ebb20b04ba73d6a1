"""What the built-in vendors promise on top: reused connections, cancels at any point, bounded answers."""

from __future__ import annotations

from tests.conformance.provider_suite import HTTPProviderSuite


class VendorSuite(HTTPProviderSuite):
    """For a provider on the SDK of its vendor."""
