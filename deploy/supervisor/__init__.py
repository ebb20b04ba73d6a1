"""A small supervisor: starts roles in stages, restarts what dies, stops all of it in order and in time."""
