"""What the end of an attempt leaves in doubt, for channels that can look whether a letter is there."""

from __future__ import annotations

from services.channels.contract import DeliveryError


def ambiguous(error: DeliveryError) -> DeliveryError:
    """`error` as one after which the letter may be there."""
    return DeliveryError(
        "ambiguous",
        code=error.code,
        status=error.status,
        retry_after_s=error.retry_after_s,
        is_limit=error.is_limit,
    )


def doubted(error: DeliveryError) -> DeliveryError:
    """`error` where a part of the letter is there: whatever may be mended, the next attempt must look first."""
    return ambiguous(error) if error.kind in ("not_sent", "rejected", "overloaded") else error
