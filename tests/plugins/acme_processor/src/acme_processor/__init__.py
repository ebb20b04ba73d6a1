"""Example processors: `tally` counts inputs and tells of every third, `brittle` stumbles over magic words."""

from .brittle import Brittle
from .tally import Tally

__all__ = ["Brittle", "Tally"]
