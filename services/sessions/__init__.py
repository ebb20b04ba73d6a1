"""Sessions as people see them: prompts go in, commands are given, pages are read."""
