"""Every method on every task, tuned alike, compared with the same oracles."""
