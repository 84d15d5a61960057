"""The edge to language models: one client protocol, and the sender that asks many questions of one client."""
