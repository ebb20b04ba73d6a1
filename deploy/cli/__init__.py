"""The `turnwright` command: roles, and a client of the HTTP API."""
