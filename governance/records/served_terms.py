"""Served terms: where a policy says that a model answers, and how long an answer may take.

An address is recorded and printed, so it holds no secret: neither a login nor a query is accepted
in it. `{name}` and `{version}` stand for those of the version that is assessed.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

from governance.records.decoding import IF_SET
from governance.records.toml_reader import Reader

__all__ = ["LONGEST_ADDRESS", "MOST_SECONDS", "ServedTerms", "address_problem", "read_served"]

#: Characters of an address.
LONGEST_ADDRESS = 1000
#: Seconds that one answer may take.
MOST_SECONDS = 600

ENDING = "/invocations"
PLACES = re.compile(r"\{[^{}]*\}")
HELD = {"{name}", "{version}"}
PLAIN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedTerms:
    """What a policy says about a model that a scoring server answers for: `[model.served]`.

    Attributes:
        address: Address of a running server, which ends in `/invocations`. `{name}` and `{version}`
            in its path stand for those of the version. Without an address the server is started
            from the version's own files, shut in, and ended afterwards.
        seconds: Longest time that one request may take, in seconds.
        start_seconds: Longest time that a server started here may take until it answers, in
            seconds.
    """

    address: str | None = field(default=None, metadata=IF_SET)
    seconds: float = 60.0
    start_seconds: float = 180.0

    def address_of(self, name: str | None, version: str | None) -> str | None:
        """The address for a version; None where the server is started here."""
        if self.address is None:
            return None
        filled = self.address
        for place, value in (("{name}", name), ("{version}", version)):
            filled = filled.replace(place, quote(value or "", safe=""))
        return filled


def read_served(terms: Reader) -> ServedTerms | None:
    """The terms in `[model.served]`; None where there is no such table."""
    table = terms.table("served")
    if not terms.has("served"):
        return None
    known = ServedTerms()
    address = table.text("address", "") or None
    if address is not None and (problem := address_problem(address)) is not None:
        table.problem("address", problem)
        address = None
    found = ServedTerms(
        address=address,
        seconds=_seconds(table, "seconds", known.seconds),
        start_seconds=_seconds(table, "start_seconds", known.start_seconds),
    )
    table.done()
    return found


def address_problem(address: str) -> str | None:
    """What is wrong with an address, and what would be accepted; None if nothing is."""
    accepted = (
        "an address such as https://scores.example/models/{name}/versions/{version}/invocations is "
        "accepted"
    )
    if len(address) > LONGEST_ADDRESS or not PLAIN.fullmatch(address):
        return f"is no plain text of at most {LONGEST_ADDRESS} characters; {accepted}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return f"is no address; {accepted}"
    if (what := _wrong(parts, port)) is not None:
        return f"{what}; {accepted}"
    return None


def _wrong(parts: SplitResult, port: int | None) -> str | None:
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return (
            "holds a login, a query or a fragment, which would be recorded; a token belongs into "
            "the environment variable GOVERNANCE_SCORING_TOKENS"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return "is no address of http or https"
    if not parts.path.endswith(ENDING):
        return f"does not end in {ENDING}"
    if PLACES.search(parts.netloc) or set(PLACES.findall(parts.path)) - HELD:
        return "holds other braces than {name} and {version} in its path"
    return None


def _seconds(table: Reader, key: str, default: float) -> float:
    value = table.number(key, default, above=0) or default
    if value > MOST_SECONDS:
        table.problem(key, f"is {value:g}; at most {MOST_SECONDS} are accepted")
        return default
    return value
