"""What tokens cost."""

from __future__ import annotations

import pytest

from services.config.schema import PriceConfig
from services.llm.prices import KNOWN, Prices
from services.streams.vocabulary import Usage


def cost(model: str, usage: Usage, prices: Prices | None = None) -> int | None:
    return (prices or Prices()).priced(model, usage).cost_microusd


def test_every_kind_of_token_has_its_price() -> None:
    # A million: 400,000 read from the cache, 100,000 written, the rest plain, at 3, 0.30, 3.75 and 15 dollars.
    used = Usage(input=1_000_000, cached=400_000, cache_write=100_000, output=10_000, reasoning=9_000)
    assert cost("anthropic:claude-sonnet-4-5", used) == 1_500_000 + 120_000 + 375_000 + 150_000


@pytest.mark.parametrize(("tokens", "microusd"), [(1, 3), (2, 5), (3, 8), (400_000, 1_000_000)])
def test_a_part_of_a_millionth_is_rounded_up(tokens: int, microusd: int) -> None:
    assert cost("openai:gpt-4o", Usage(input=tokens)) == microusd


def test_the_built_in_model_is_free_and_what_used_nothing_has_no_cost() -> None:
    assert cost("offline", Usage(input=100, output=100)) == 0
    assert cost("openai:gpt-4o", Usage()) is None


@pytest.mark.parametrize(
    ("model", "like"),
    [
        ("openai:gpt-4o-mini-2024-07-18", "openai:gpt-4o-mini"),
        ("openai:gpt-4o-2024-08-06", "openai:gpt-4o"),
        ("anthropic:claude-3-5-haiku-20241022", "anthropic:claude-3-5-haiku"),
        ("anthropic:claude-3-5-haiku-latest", "anthropic:claude-3-5-haiku"),
        ("openai:gpt-4o-audio-preview", None),
        ("openai:gpt-4", None),
        ("acme:gpt-4o", None),
    ],
)
def test_a_dated_name_costs_what_the_model_does_and_any_other_name_is_another_model(
    model: str, like: str | None
) -> None:
    assert Prices().of(model) == (KNOWN[like] if like else None)


def test_a_configured_price_goes_before_the_table_and_caches_cost_as_much_as_input_unless_it_says_so() -> (
    None
):
    prices = Prices(
        {
            "openai:gpt-4o": PriceConfig(input=0.1, output=0.2),
            "acme:tiny": PriceConfig(input=10, output=20, cached=1, cache_write=12.5),
        }
    )
    asked = Usage(input=1_000_000, cached=500_000, output=1_000_000)
    assert cost("openai:gpt-4o", asked, prices) == 300_000
    asked = Usage(input=3_000_000, cached=1_000_000, cache_write=1_000_000)
    assert cost("acme:tiny-20260101", asked, prices) == 23_500_000


def test_counts_that_do_not_add_up_cost_nothing_below_zero() -> None:
    assert cost("openai:gpt-4o", Usage(input=1, cached=100)) == 125


def test_sums_pass_over_what_has_no_known_price() -> None:
    unknown, known = Usage(input=1), Usage(input=2, cost_microusd=7)
    assert unknown.plus(unknown).cost_microusd is None
    assert known.plus(unknown).plus(known) == Usage(input=5, cost_microusd=14)
