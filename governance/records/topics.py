"""Topics: what a reader may think was assessed; the report names those that no evidence covers.

An analysis declares the topics that it covers (`covers`), and its evidence carries them, so that a
report needs to know no analysis by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["ADVERSARIAL", "CHANGE", "TOPICS", "Topic"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic for the list of what was not assessed.

    Attributes:
        title: Name of the topic for a reader.
        gap: What is not known if nothing covers it.
    """

    title: str
    gap: str


ADVERSARIAL, CHANGE = "adversarial", "change"

#: By the key that analyses declare, in the order of the report.
TOPICS: Mapping[str, Topic] = MappingProxyType(
    {
        "purpose": Topic(
            "Intended purpose and use",
            "whether the task, the users and the setting suit such a model is for people to decide",
        ),
        "fairness": Topic(
            "Fairness across groups",
            "the validation images carry classes, not attributes of people or groups",
        ),
        ADVERSARIAL: Topic(
            "Adversarial and corrupted inputs",
            "no search for, and no bound on, inputs made to mislead the model",
        ),
        CHANGE: Topic(
            "Change between versions",
            "how far its reasons moved from those of an earlier version",
        ),
        "operation": Topic(
            "Operation", "monitoring and behaviour on inputs unlike the validation images"
        ),
        "training_data": Topic(
            "Training data",
            "origin, consent, annotation and overlap with the validation images",
        ),
        "supply_chain": Topic(
            "Security of the supply chain",
            "the origin of the model's files and of the software that runs them",
        ),
    }
)
