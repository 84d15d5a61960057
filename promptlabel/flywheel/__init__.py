"""How far the eval set trails production, where quality is uneven, and the report that shows it."""
