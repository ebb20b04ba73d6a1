"""Model vendors behind their official SDKs, which are imported when a model of theirs is first asked."""
