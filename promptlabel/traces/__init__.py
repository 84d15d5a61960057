"""What was logged: traces, events and gold from files of many formats, and the signals in people's behaviour."""
