"""What tokens cost: a table of well-known models, and what the configuration says instead.

List prices in USD per million tokens, of standard requests without discounts for batches or surcharges for
very long ones; writing to a vendor's cache for its shortest time. A price of your own goes before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from services.config.schema import PriceConfig
from services.streams.vocabulary import Usage

MILLION = 1_000_000
# A name with the date of its snapshot costs what the name without it does; any other ending is another model.
_SNAPSHOT = re.compile(r"[-@](latest|\d{8}|\d{4}-\d{2}-\d{2}|\d{4})")


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Of one million tokens each, in millionths of a dollar. `input` is of what no cache was read or written for."""

    input: int
    cached: int
    cache_write: int
    output: int

    def cost_microusd(self, usage: Usage) -> int:
        """What `usage` costs, rounded up: 1 token at $2.50 a million is 3 millionths of a dollar."""
        plain = max(0, usage.input - usage.cached - usage.cache_write)
        total = (
            plain * self.input
            + usage.cached * self.cached
            + usage.cache_write * self.cache_write
            + usage.output * self.output
        )
        return -(-total // MILLION)


class Prices:
    """Prices by model as it is configured (`<provider>:<model>`); `configured` go before the table."""

    def __init__(self, configured: Mapping[str, PriceConfig] = {}) -> None:
        own = {
            model: _price(each.input, each.cached, each.cache_write, each.output)
            for model, each in configured.items()
        }
        self._prices = {**KNOWN, **own}

    def of(self, model: str) -> Price | None:
        """The price of a model, None when none is known. The longest name that fits a dated one counts."""
        if model in self._prices:
            return self._prices[model]
        fitting = [
            name
            for name in self._prices
            if model.startswith(name) and _SNAPSHOT.fullmatch(model[len(name) :])
        ]
        return self._prices[max(fitting, key=len)] if fitting else None

    def priced(self, model: str, usage: Usage) -> Usage:
        """`usage` with its cost, if there is any and the price is known."""
        price = self.of(model)
        if price is None or usage == Usage():
            return usage
        return msgspec.structs.replace(usage, cost_microusd=price.cost_microusd(usage))


def _price(
    input: float | str, cached: float | str | None, written: float | str | None, output: float | str
) -> Price:
    return Price(
        input=_microusd(input),
        cached=_microusd(input if cached is None else cached),
        cache_write=_microusd(input if written is None else written),
        output=_microusd(output),
    )


def _microusd(usd: float | str) -> int:
    return int((Decimal(str(usd)) * MILLION).to_integral_value())


# input, cached, cache_write, output
_LISTED: dict[str, tuple[str, str | None, str | None, str]] = {
    "offline": ("0", "0", "0", "0"),
    # https://platform.openai.com/docs/pricing, standard tier, as of March 2026.
    "openai:gpt-5.1": ("1.25", "0.125", None, "10"),
    "openai:gpt-5": ("1.25", "0.125", None, "10"),
    "openai:gpt-5-mini": ("0.25", "0.025", None, "2"),
    "openai:gpt-5-nano": ("0.05", "0.005", None, "0.40"),
    "openai:gpt-4.1": ("2", "0.50", None, "8"),
    "openai:gpt-4.1-mini": ("0.40", "0.10", None, "1.60"),
    "openai:gpt-4.1-nano": ("0.10", "0.025", None, "0.40"),
    "openai:gpt-4o": ("2.50", "1.25", None, "10"),
    "openai:gpt-4o-2024-05-13": ("5", None, None, "15"),
    "openai:gpt-4o-mini": ("0.15", "0.075", None, "0.60"),
    "openai:o3": ("2", "0.50", None, "8"),
    "openai:o3-mini": ("1.10", "0.55", None, "4.40"),
    "openai:o4-mini": ("1.10", "0.275", None, "4.40"),
    "openai:o1": ("15", "7.50", None, "60"),
    # https://platform.claude.com/docs/en/about-claude/pricing, as of autumn 2026.
    "anthropic:claude-opus-5": ("5", "0.50", "6.25", "25"),
    "anthropic:claude-opus-4-8": ("5", "0.50", "6.25", "25"),
    "anthropic:claude-opus-4-7": ("5", "0.50", "6.25", "25"),
    "anthropic:claude-opus-4-6": ("5", "0.50", "6.25", "25"),
    "anthropic:claude-opus-4-5": ("5", "0.50", "6.25", "25"),
    "anthropic:claude-opus-4-1": ("15", "1.50", "18.75", "75"),
    "anthropic:claude-opus-4": ("15", "1.50", "18.75", "75"),
    "anthropic:claude-opus-4-0": ("15", "1.50", "18.75", "75"),
    "anthropic:claude-sonnet-4-6": ("3", "0.30", "3.75", "15"),
    "anthropic:claude-sonnet-4-5": ("3", "0.30", "3.75", "15"),
    "anthropic:claude-sonnet-4": ("3", "0.30", "3.75", "15"),
    "anthropic:claude-sonnet-4-0": ("3", "0.30", "3.75", "15"),
    "anthropic:claude-3-7-sonnet": ("3", "0.30", "3.75", "15"),
    "anthropic:claude-haiku-4-5": ("1", "0.10", "1.25", "5"),
    "anthropic:claude-3-5-haiku": ("0.80", "0.08", "1", "4"),
    "anthropic:claude-3-haiku": ("0.25", "0.03", "0.30", "1.25"),
}
KNOWN: Mapping[str, Price] = {name: _price(i, c, w, o) for name, (i, c, w, o) in _LISTED.items()}
