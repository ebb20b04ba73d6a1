"""What happened: append-only event streams and the store they live in."""
