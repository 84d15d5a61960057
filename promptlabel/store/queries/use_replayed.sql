USE replayed
