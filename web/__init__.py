"""How the outside gets in: the HTTP API, live events, health. Verifies, parses, appends, answers."""
