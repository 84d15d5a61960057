"""What people did, and how they wrote, as rules on engagement.

Every threshold is a round number, chosen on the ratings before `holdout_after` alone; in brackets, the share of those
conversations a rule voted on and how often it was right there.
"""

import re

from promptlabel import heuristic

LAUGHTER = re.compile(r"\b(?:a*(?:ha){2,}h?|he(?:he)+|lo+l+|lmf?ao+|rofl)\b|[😂🤣😆😹]", re.IGNORECASE)
GOODBYE = re.compile(
    r"\b(?:bye|goodbye|good ?night|got(?:ta| to) go|ttyl|talk to you later"
    r"|(?:nice|good|great) (?:talking|chatting|meeting))\b",
    re.IGNORECASE,
)
DELIGHT = re.compile(
    r"\b(?:me too|same here|totally|exactly|so cool|no way|really\?"
    r"|that'?s (?:so )?(?:cool|awesome|amazing|great|funny|interesting))",
    re.IGNORECASE,
)
ANYBODY = re.compile(
    r"\b(?:hello|hi|hey|you) ?(?:there)?\?+|(?:are you|still|anyone|anybody) (?:there|here)", re.IGNORECASE
)


def roles_that_wrote(trace, pattern):
    return {message.role for message in trace.messages if pattern.search(message.content)}


@heuristic(kind="signal")
def one_sided(trace):
    """Only one person ever wrote. (18%, 0.77)"""
    return "bored" if trace.signal("one_sided") else None


@heuristic(kind="signal")
def few_messages(trace):
    """Four messages or fewer. (19%, 0.70)"""
    return "bored" if trace.signal("messages") <= 4 else None


@heuristic(kind="signal")
def many_messages(trace):
    """Thirty messages or more. (51%, 0.99)"""
    return "engaged" if trace.signal("messages") >= 30 else None


@heuristic(kind="signal")
def little_text(trace):
    """At most 200 characters between them. (20%, 0.70)"""
    return "bored" if trace.signal("characters") <= 200 else None


@heuristic(kind="signal")
def much_text(trace):
    """1,500 characters or more. (49%, 0.99)"""
    return "engaged" if trace.signal("characters") >= 1500 else None


@heuristic(kind="signal")
def left_quickly(trace):
    """Over within two minutes. (17%, 0.61)"""
    return "bored" if trace.signal("duration_seconds") <= 120 else None


@heuristic(kind="signal")
def stayed(trace):
    """Half an hour or more, and never ten minutes of silence. (26%, 1.00)"""
    stayed_long = trace.signal("duration_seconds") >= 1800
    return "engaged" if stayed_long and trace.signal("longest_silence") <= 600 else None


@heuristic(kind="signal")
def quick_replies(trace):
    """Half of the replies come within 30 seconds, over six turns or more. (41%, 0.96)"""
    delay = trace.signal("reply_seconds_median")
    return "engaged" if delay is not None and delay <= 30 and trace.signal("turns") >= 6 else None


@heuristic(kind="signal")
def both_wrote(trace):
    """The quieter one wrote at least 60 % as much as the other, over four turns or more. (55%, 0.97)"""
    return "engaged" if trace.signal("balance") >= 0.6 and trace.signal("turns") >= 4 else None


@heuristic(kind="signal")
def terse(trace):
    """Three words a message or fewer. (7%, 0.75)"""
    return "bored" if trace.signal("words_per_message") <= 3 else None


@heuristic
def both_laughed(trace):
    """Each of them laughed at least once. (40%, 0.97)"""
    return "engaged" if len(roles_that_wrote(trace, LAUGHTER)) > 1 else None


@heuristic
def delighted(trace):
    """Two messages or more say "me too", "no way", "that's funny" or the like. (36%, 0.99)"""
    return (
        "engaged" if sum(bool(DELIGHT.search(message.content)) for message in trace.messages) >= 2 else None
    )


@heuristic
def said_goodbye(trace):
    """Two people talked, and one of the last four messages takes leave. (27%, 0.97)"""
    ending = any(GOODBYE.search(message.content) for message in trace.messages[-4:])
    return "engaged" if ending and trace.signal("senders") > 1 else None


@heuristic
def calls_into_silence(trace):
    """The last message asks whether anybody is there. (7%, 0.61)"""
    return "bored" if ANYBODY.search(trace.messages[-1].content) else None
