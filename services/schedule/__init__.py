"""Schedules: when triggers are due, what became of each of their ticks, and taking a tick to its session."""
