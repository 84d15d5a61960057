"""People's part of the loop: who sees which trace, what they decided, and how far they agree."""
