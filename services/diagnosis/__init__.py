"""Why something is as it is: run records, wait reasons, the state of local processes."""
