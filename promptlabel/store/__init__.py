"""The edge to durable storage: one contract, its embedded home, and the journal of paid answers."""
