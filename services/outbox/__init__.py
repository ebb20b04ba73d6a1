"""What must be said: effects on other streams and outside systems, in order, exactly as often as promised."""
