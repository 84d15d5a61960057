ATTACH ':memory:' AS replayed
