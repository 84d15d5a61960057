"""Soft-labelled training rows, and the guards that keep eval cases and held-back gold out of them."""
