"""Every method on every task, tuned alike, held against the same oracles."""
