"""Subjects changed in one place."""

from dataclasses import replace

from governance.subject.subject import Subject

__all__ = ["with_network"]


def with_network(subject: Subject, **changed) -> Subject:
    """The same subject, with another module, preprocessing or meaning of the outputs."""
    return replace(subject, classifier=replace(subject.network, **changed))
