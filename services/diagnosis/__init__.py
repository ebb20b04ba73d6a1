"""Knowing why: wait reasons, what the local processes do, metrics."""
