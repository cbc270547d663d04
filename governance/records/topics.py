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
        consequence: What may go wrong unseen while it is not known.
        decides: Role of the person who decides on it.
    """

    title: str
    gap: str
    consequence: str
    decides: str


ADVERSARIAL, CHANGE = "adversarial", "change"

#: By the key that analyses declare, in the order of the report.
TOPICS: Mapping[str, Topic] = MappingProxyType(
    {
        "purpose": Topic(
            "Intended purpose and use",
            "whether the task, the users and the setting suit such a model is for people to decide",
            consequence="The model may be right and still unfit for its use.",
            decides="risk owner",
        ),
        "fairness": Topic(
            "Fairness across groups",
            "the validation images carry classes, not attributes of people or groups",
            consequence="Worse results for a group of people would not show.",
            decides="risk owner",
        ),
        ADVERSARIAL: Topic(
            "Adversarial and corrupted inputs",
            "no search for, and no bound on, inputs made to mislead the model",
            consequence="What a deliberate change of an image can do is not bounded.",
            decides="security",
        ),
        CHANGE: Topic(
            "Change between versions",
            "how far its reasons moved from those of an earlier version",
            consequence="The version may decide for other reasons than the one that people know.",
            decides="model owner",
        ),
        "operation": Topic(
            "Operation",
            "monitoring and behaviour on inputs unlike the validation images",
            consequence="Nothing is said of other devices, places or times.",
            decides="model owner",
        ),
        "training_data": Topic(
            "Training data",
            "origin, consent, annotation and overlap with the validation images",
            consequence="Overlap with these images would make every figure too good.",
            decides="data owner",
        ),
        "supply_chain": Topic(
            "Security of the supply chain",
            "the origin of the model's files and of the software that runs them",
            consequence="A manipulated file of the same behaviour would pass.",
            decides="security",
        ),
    }
)
