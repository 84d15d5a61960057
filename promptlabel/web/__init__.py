"""The reviewers' page: HTML, one JSON interface, and the protections around them."""
