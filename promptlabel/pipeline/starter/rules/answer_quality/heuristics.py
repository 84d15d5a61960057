from promptlabel import heuristic

THANKS = ("thank", "perfect", "great", "works now")
COMPLAINTS = ("still", "not what i asked", "doesn't work", "does not work", "wrong")


def last_words(trace):
    users = [message.content for message in trace.messages if message.role == "user"]
    return (users[-1] if users else trace.input or "").lower()


@heuristic(description="The user says thanks.")
def thanks(trace):
    return "good" if any(word in last_words(trace) for word in THANKS) else None


@heuristic(description="The user complains.")
def complains(trace):
    return "bad" if any(word in last_words(trace) for word in COMPLAINTS) else None


@heuristic(kind="signal", description="The user copied the answer.")
def copied(trace):
    return "good" if trace.signal("copied") else None
