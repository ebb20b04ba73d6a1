"""Seeing what happens from outside: traces, counters, and their way to a collector."""
