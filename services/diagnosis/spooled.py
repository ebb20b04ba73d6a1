"""What `turnwright doctor` says of this host's spool."""

from __future__ import annotations

from collections.abc import Iterator

from services.diagnosis.findings import Finding
from services.spool.database import SpoolFailed
from services.spool.facts import SpoolFacts, read_facts
from services.spool.file import LEAST_FREE
from services.spool_settings import SpoolSettings

PART = "spool"
LATE_S = 60.0


def check_spool(
    settings: SpoolSettings, *, namespace: str = "turnwright", least_free: int = LEAST_FREE
) -> Iterator[Finding]:
    """Whether webhooks are kept here while the store is away, what waits, and what a person must look at."""
    if settings.folder is None:
        text = f"off: {settings.off}. While the log store is away, webhooks get 503 and are to be sent again"
        yield Finding(part=PART, state="ok", text=text)
        return
    try:
        facts = read_facts(settings.folder, namespace=namespace)
    except SpoolFailed as error:
        text = (
            f"{settings.folder} does not work ({error.reason}): while the log store is away, webhooks get 503"
        )
        yield Finding(part=PART, state="problem", text=text)
        return
    yield _waiting(settings, facts)
    if facts.free < least_free:
        text = (
            f"its disk has {facts.free >> 20} MB left: with less than {least_free >> 20} MB no webhooks are kept,"
            " and get 503 while the log store is away"
        )
        yield Finding(part=PART, state="warning", text=text)
    if facts.rejected:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(facts.rejected.items()))
        text = (
            f"{sum(facts.rejected.values())} acknowledged webhook(s) were refused for good by the log store"
            f" ({reasons}): `turnwright spool` lists them, --retry lets the store have them again"
        )
        yield Finding(part=PART, state="problem", text=text)
    for path in facts.corrupt:
        text = (
            f"{path} was corrupt and may hold acknowledged webhooks: save what can be read, then take it away"
        )
        yield Finding(part=PART, state="problem", text=text)


def _waiting(settings: SpoolSettings, facts: SpoolFacts) -> Finding:
    if not facts.waiting:
        return Finding(part=PART, state="ok", text=f"on, nothing waits in {settings.folder}")
    text = (
        f"{facts.waiting} webhook(s) of {facts.streams} stream(s) wait for the log store,"
        f" the first for {facts.oldest_s:.0f} s"
    )
    return Finding(part=PART, state="warning" if facts.oldest_s > LATE_S else "ok", text=text)
