"""GitHub: what it sends is verified and read, what is said there is a comment of our own."""
