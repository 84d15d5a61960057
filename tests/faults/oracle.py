"""What went wrong, judged by the server's own log of requests against the votes and the ledger in the store.

Nothing here asks promptlabel: a request counts as paid for when the server gave it a sound answer, or was about to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from faults.project import Booked, CastVote, Run
from faults.server import Request

HOLD_GRACE = 1.0
"""Seconds after a Retry-After in which requests may arrive that left before it was read, on a busy machine."""

UNREAD = 1.0
"""An answer that was sent so many seconds before a kill had been read by then."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill -9.

    Attributes:
        in_flight: requests with a sound answer, sent or due, that the process cannot be shown to have read.
        repeats: requests with a sound answer that a later run sent again.
        read: those repeats whose answer the process had read, for it used their connection again.
    """

    bearer: str
    in_flight: int
    repeats: int
    read: int

    @property
    def excess(self) -> int:
        """Repeats that being in flight does not excuse."""
        return max(0, self.repeats - self.in_flight)


@dataclass(slots=True)
class Findings:
    """What a campaign of faults came to; every `Counter` is by fault.

    Attributes:
        injected: requests that were answered with the fault.
        lost: votes that met it and are missing in the end.
        duplicated: votes that met it and are in the store more than once.
        guessed: votes with another label than the server answered.
        paid_twice: sound answers that a run asked for although it, or a run that ended in order, had one.
        early: requests that came before the time a Retry-After had told.
        unbooked: requests of runs that ended in order that the ledger does not know.
        longest: seconds of the longest attempt in the ledger.
    """

    injected: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    duplicated: Counter[str] = field(default_factory=Counter)
    guessed: int = 0
    paid_twice: int = 0
    early: int = 0
    unbooked: int = 0
    longest: float = 0.0
    kills: list[Kill] = field(default_factory=list)

    @property
    def violations(self) -> dict[str, int]:
        """The counts that must be 0."""
        return {
            "lost": sum(self.lost.values()),
            "duplicated": sum(self.duplicated.values()),
            "guessed": self.guessed,
            "paid twice": self.paid_twice,
            "repeats beyond what was in flight": sum(kill.excess for kill in self.kills),
            "early retries": self.early,
            "unbooked": self.unbooked,
        }


def judge(
    log: Sequence[Request],
    votes: Sequence[CastVote],
    attempts: Sequence[Booked],
    runs: Sequence[Run],
    keys: Collection[str],
) -> Findings:
    """The findings over everything that happened to one project."""
    findings = Findings(Counter(request.fault for request in log if request.fault))
    faults_of = _faults_of(log)
    rows = Counter(vote.key for vote in votes)
    for key in keys:
        met = faults_of.get(key) or {"(none)"}
        findings.lost.update(met if not rows[key] else ())
        findings.duplicated.update(met if rows[key] > 1 else ())
    answers = {request.key: request.answer for request in log if request.answer}
    findings.guessed = sum(
        vote.status == "vote" and vote.label != answers.get(vote.key) for vote in votes if vote.key in keys
    )
    killed = {run.bearer: run.killed for run in runs if run.killed is not None}
    findings.paid_twice = paid_twice(log, killed)
    findings.early = early(log)
    findings.unbooked = unbooked(log, attempts, killed)
    findings.longest = max((attempt.seconds for attempt in attempts), default=0.0)
    findings.kills = kills(log, killed)
    return findings


def kills(log: Sequence[Request], killed: Mapping[str, float]) -> list[Kill]:
    """What each kill cost, by the bearer of the run and the time of its death."""
    asked_last = {request.key: _number(request.bearer) for request in log}
    of_run: dict[str, list[Request]] = defaultdict(list)
    for request in log:
        of_run[request.bearer].append(request)
    return [_kill(bearer, of_run[bearer], at, asked_last) for bearer, at in killed.items()]


def _kill(bearer: str, requests: Sequence[Request], at: float, asked_last: Mapping[str, int]) -> Kill:
    last = {request.connection: request for request in requests}
    unread = [request for request in last.values() if request.answer and _open(request, at)]
    repeated = [
        request for request in requests if request.answer and asked_last[request.key] > _number(bearer)
    ]
    return Kill(
        bearer,
        in_flight=len(unread),
        repeats=len(repeated),
        read=sum(request is not last[request.connection] for request in repeated),
    )


def paid_twice(log: Sequence[Request], killed: Mapping[str, float]) -> int:
    """Requests for a key that had a sound answer in the same run, or in an earlier one that was not killed."""
    count = 0
    for requests in _by_key(log).values():
        for first, second in pairwise(requests):
            sound = first.answer is not None and first.replied is not None
            count += sound and (first.bearer == second.bearer or first.bearer not in killed)
    return count


def early(log: Sequence[Request]) -> int:
    """Requests that came before the time the server had told: the same key at all, others beyond the grace."""
    count = 0
    told: dict[str, float] = {}
    held_from, held_until, holder = 0.0, 0.0, ""
    for request in log:
        if request.bearer != holder:
            holder, held_until, told = request.bearer, 0.0, {}
        same_key = request.arrived < told.get(request.key, 0.0)
        count += same_key or held_from + HOLD_GRACE < request.arrived < held_until
        if request.until is not None and request.replied is not None:
            told[request.key] = request.until
            if request.until > held_until:
                held_from, held_until = request.replied, request.until
    return count


def unbooked(log: Sequence[Request], attempts: Iterable[Booked], killed: Mapping[str, float]) -> int:
    """Requests that the ledger lacks, beyond those that were open or unread when their run was killed."""
    sent, booked = Counter(request.key for request in log), Counter(attempt.key for attempt in attempts)
    last = {(request.bearer, request.connection): request for request in log}
    excused = Counter(
        request.key
        for (bearer, _), request in last.items()
        if bearer in killed and _open(request, killed[bearer])
    )
    return sum(max(0, number - booked[key] - excused[key]) for key, number in sent.items() if key in booked)


def _open(request: Request, at: float) -> bool:
    """Whether the request's answer may not have been read at that time."""
    return request.replied is None or request.replied > at - UNREAD


def _number(bearer: str) -> int:
    return int(bearer.rpartition("-")[2])


def _by_key(log: Iterable[Request]) -> dict[str, list[Request]]:
    requests: dict[str, list[Request]] = defaultdict(list)
    for request in log:
        requests[request.key].append(request)
    return requests


def _faults_of(log: Iterable[Request]) -> dict[str, set[str]]:
    faults: dict[str, set[str]] = defaultdict(set)
    for request in log:
        if request.fault:
            faults[request.key].add(request.fault)
    return faults
