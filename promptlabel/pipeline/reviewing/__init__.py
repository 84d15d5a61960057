"""Labels to people: the queue and the desk."""
