"""What must be done: due sets, claims, leases, wake-up. Everything owed is found again here."""
