"""Counts: numbers of what a worker has seen and done, as text that Prometheus reads.

After the text exposition format 0.0.4; a library for it would be larger than these lines.
"""

from collections import Counter
from collections.abc import Mapping
from threading import Lock

__all__ = ["Counts"]

Labels = tuple[tuple[str, str], ...]

#: What each number means, and whether it only grows.
KNOWN: Mapping[str, tuple[str, str]] = {
    "governance_assessments_total": ("counter", "Versions given a signed verdict, by verdict."),
    "governance_assessment_seconds": ("histogram", "Seconds from a lease to its signed verdict."),
    "governance_attempts_failed_total": ("counter", "Attempts that failed, by cause."),
    "governance_alerts_total": ("counter", "Times an alias was found that no approval covers."),
    "governance_connections_dropped_total": ("counter", "Connections cut, by listener and reason."),
    "governance_deliveries_total": ("counter", "Webhook deliveries, by what became of them."),
    "governance_confinement_gaps": ("gauge", "Things that assessments can reach and should not."),
    "governance_found_total": ("counter", "Versions queued, by why they need work."),
    "governance_handed_back_total": ("counter", "Leases handed back or lost unfinished, by cause."),
    "governance_polls_total": ("counter", "Looks at the registry, by outcome."),
    "governance_jobs": ("gauge", "Versions in the job database, by state."),
    "governance_last_poll_seconds": ("gauge", "When the registry last answered, Unix time."),
    "governance_oldest_job_seconds": ("gauge", "Age of the version queued longest, in seconds."),
    "governance_unapproved_aliases": ("gauge", "Protected aliases without a valid approval."),
}


#: What a histogram consists of.
PARTS = ("bucket", "sum", "count")
#: Upper bounds of a histogram's buckets, in seconds.
BUCKETS = ("10", "30", "60", "120", "300", "600", "1800", "3600", "7200", "+Inf")


class Counts:
    """Numbers by name and labels, changed by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: Counter[tuple[str, Labels]] = Counter()

    def add(self, name: str, **labels: str) -> None:
        """Count one more of `name`."""
        with self._lock:
            self._values[name, tuple(sorted(labels.items()))] += 1

    def put(self, name: str, value: float, **labels: str) -> None:
        """Set `name` to `value`."""
        with self._lock:
            self._values[name, tuple(sorted(labels.items()))] = value  # type: ignore[assignment]

    def observe(self, name: str, value: float) -> None:
        """Add an observation to the histogram `name`."""
        with self._lock:
            for bound in BUCKETS:
                self._values[f"{name}_bucket", (("le", bound),)] += value <= float(bound)
            self._values[f"{name}_sum", ()] += value  # type: ignore[assignment]
            self._values[f"{name}_count", ()] += 1

    def value(self, name: str, **labels: str) -> float:
        """Value of `name`; 0 if it was never counted or set."""
        with self._lock:
            return self._values[name, tuple(sorted(labels.items()))]

    def text(self) -> str:
        """All numbers, for `/metrics`."""
        with self._lock:
            # In the order of their making, which is that of the buckets.
            values = list(self._values.items())
        lines = []
        for name, (kind, meaning) in KNOWN.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
            parts = [name] if kind != "histogram" else [f"{name}_{part}" for part in PARTS]
            lines += [
                f"{known}{_labels(labels)} {value!r}"
                for (known, labels), value in values
                if known in parts
            ]
        return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
