"""What agents can do: the tool contract, the tools there are, and how one call is run to an outcome."""
