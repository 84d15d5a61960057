"""Rules to votes: what is missing, asked, sent, paid for and written down."""
