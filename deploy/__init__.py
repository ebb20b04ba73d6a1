"""How Turnwright is put together and started: composition, command line, local supervisor."""
