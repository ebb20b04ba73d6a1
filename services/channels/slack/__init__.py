"""The channel `slack`: what Slack sends, read without trust; what is said there, exactly once."""
