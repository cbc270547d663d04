"""Requests that race: threads that start at once, against SQLite and PostgreSQL, many rounds.

A round is won by the attacker if the registry ends in a state that no order of the same requests,
one after the other, could have brought about.
"""

import os
import sys
import threading
import time
from uuid import uuid4

import pytest

from governance.approval.tags import APPROVAL, STATUS

#: Threads and rounds of the normal suite, and of `make races`.
FEW, MANY = (8, 6), (50, 200)
#: Seconds before now in which the approval that is replayed was issued.
AGE = 60


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request):
    """A governed registry in this process, on each database that is tested."""
    name = "registry" if request.param == "sqlite" else "on_postgresql"
    return request.getfixturevalue(name)


def at_once(requests):
    """Start all requests at the same moment; what was answered, in the order of the requests."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - seconds

    start, answers = threading.Barrier(len(requests)), [None] * len(requests)

    def ask(place, request):
        start.wait()
        try:
            answers[place] = ("done", request())
        except MlflowException as error:
            answers[place] = (error.error_code, str(error))

    threads = [
        threading.Thread(target=ask, args=(place, request))
        for place, request in enumerate(requests)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in answers, "a request ended in an error that is no answer"
    return answers


def put(registry, version, token):
    return lambda: registry.client.set_model_version_tag(
        version.name, version.version, APPROVAL, token
    )


def replay_against(end):
    """Whether re-sending the standing approval undoes the statement that ends it."""

    def won(registry, threads):
        version = registry.register(f"replayed {uuid4().hex[:8]}")
        now = int(time.time())
        approval = registry.approve(version, issued=now - AGE)
        ending = (
            registry.office.revocation(version, issued=now)
            if end == "revocation"
            else registry.office.verdict(version, verdict="rejected", issued=now)
        )
        repeats = [put(registry, version, approval)] * (threads - 1)
        middle = len(repeats) // 2
        asked = [*repeats[:middle], put(registry, version, ending), *repeats[middle:]]
        answers = at_once(asked)
        assert answers[middle][0] == "done", answers[middle]
        tags = registry.tags(version)
        return tags[APPROVAL] != ending or tags[STATUS] != "rejected"

    return won


def later_loses(registry, threads):
    """Whether of many statements sent at once another one than the last issued stands."""
    version = registry.register(f"flooded {uuid4().hex[:8]}")
    now, verdicts = int(time.time()), ("approved", "rejected", "review")
    tokens = [
        registry.office.verdict(version, verdict=verdicts[age % 3], issued=now - age)
        for age in range(threads)
    ]
    at_once([put(registry, version, token) for token in tokens])
    tags = registry.tags(version)
    return tags[APPROVAL] != tokens[0] or tags[STATUS] != "approved"


def equal_seconds_differ(registry, threads):
    """Whether it depends on the arrival which of many statements of one second stands."""
    version = registry.register(f"same second {uuid4().hex[:8]}")
    now, verdicts = int(time.time()), ("approved", "running", "review", "undetermined", "rejected")
    tokens = [
        registry.office.verdict(version, verdict=verdict, issued=now, expires=now + 100 + place)
        for place in range(threads // len(verdicts) + 1)
        for verdict in verdicts
    ]
    at_once([put(registry, version, token) for token in tokens])
    return registry.tags(version)[STATUS] != "rejected"


def renamed_under_alias(registry, threads):
    """Whether a new name takes an alias along that was asked for at the same time."""
    name = f"named {uuid4().hex[:8]}"
    version = registry.register(name)
    registry.approve(version)
    names = [f"{name} {letter}" for letter in "bcd"]
    aliases = [
        lambda place=place: registry.client.set_registered_model_alias(
            name, f"champion{place}", "1"
        )
        for place in range(min(threads, FEW[0]) - len(names))  # more would rarely lose the race
    ]
    renames = [
        lambda other=other: registry.client.rename_registered_model(name, other) for other in names
    ]
    middle = len(aliases) // 2
    at_once([*aliases[:middle], *renames, *aliases[middle:]])
    found = [
        item
        for item in registry.client.search_registered_models(f"name LIKE '{name}%'")
        if item.name.startswith(name)
    ]
    assert len(found) == 1
    return found[0].name != name and bool(found[0].aliases)


RACES = {
    "replay against a revocation": replay_against("revocation"),
    "replay against a rejection": replay_against("rejection"),
    "a later statement among many": later_loses,
    "statements of one second": equal_seconds_differ,
    "a rename against an alias": renamed_under_alias,
}


@pytest.mark.parametrize("race", RACES)
def test_no_order_of_arrival_undoes_a_decision(database, race):
    threads, rounds = FEW

    assert wins(database, race, threads, rounds) == 0


@pytest.mark.race
@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("race", RACES)
def test_no_order_of_arrival_undoes_a_decision_in_many_rounds(database, race, capsys):
    threads = int(os.environ.get("RACE_THREADS", MANY[0]))
    rounds = int(os.environ.get("RACE_ROUNDS", MANY[1]))

    won = wins(database, race, threads, rounds)

    with capsys.disabled():
        sys.stdout.write(f"\n{race}: {won} of {rounds} rounds with {threads} threads were won\n")
    assert won == 0


def wins(registry, race, threads, rounds):
    """Rounds that the attacker won."""
    return sum(RACES[race](registry, threads) for _ in range(rounds))
