"""Outside systems that people talk through, each behind the same small contract."""
