"""What comes in from outside: kept as it came, decided about afterwards, taken to the session it belongs to."""
