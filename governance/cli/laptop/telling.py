"""Telling: what `governance up` says to the person at the terminal, as lines of text."""

from collections.abc import Iterator, Mapping
from shlex import quote

from governance.cli.laptop.folder import Laptop
from governance.cli.laptop.readiness import Answer, marked_lines

__all__ = ["of_event", "of_policy", "welcome"]

#: What the worker's log tells of a version, by its event.
EVENTS = {
    "leased": "{version}: is assessed",
    "done": "{version}: {verdict}",
    "again": "{version}: the attempt failed and is repeated: {why}",
    "back": "{version}: waits: {why}",
    "refused": "the registry refused: {error}",
    "not read": "the registry was not read: {error}",
}


def welcome(home: Laptop) -> Iterator[str]:
    """Where the server is, and what can be done there."""
    done = "just made" if home.new else "as it was left"
    yield f"MLflow with governance: {home.address}"
    yield f"Keys, rules, database, policy and logs: {home.shown()} ({done})"
    yield "Ctrl-C ends server and worker. To see three digit classifiers assessed here, type in"
    yield "another terminal:"
    yield f"  governance demo --config {quote(home.shown('governance.toml'))}"


def of_policy(home: Laptop, answer: Answer) -> Iterator[str]:
    """What was found in the policy, and what to do about it."""
    file = home.shown("policy.toml")
    if answer.ready:
        yield f"{file}: can be used. The worker starts, and assesses every version."
        return
    if answer.edited:
        yield f"{file}: cannot be used yet, so no version is assessed:"
        yield from (f"  {line}" for line in answer.problems.splitlines())
        return
    *lines, last = map(str, marked_lines())
    yield f"{file}: is the starter policy, so no version is assessed yet."
    yield f"Edit its lines {', '.join(lines)} and {last}, which are marked <-. Or register a model,"
    yield "and have a policy drafted for it from your labelled images:"
    rules = quote(home.shown("governance.toml"))
    yield (
        "  governance policy draft models:/NAME/1 --data FOLDER "
        f"--out {quote(file)} --config {rules}"
    )
    yield "The worker starts by itself as soon as the policy can be used."


def of_event(event: Mapping[str, object]) -> Iterator[str]:
    """What a line of the worker's log says about a version."""
    words = EVENTS.get(str(event.get("event")))
    if words is not None:
        known = {name: event.get(name) or "" for name in ("version", "verdict", "why", "error")}
        yield words.format_map(known)
        if event.get("event") == "done" and known["why"]:
            yield f"  {known['why']}"
