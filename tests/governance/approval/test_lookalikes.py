"""Names that a person takes for another one, each written with other characters."""

import pytest

from governance.approval.lookalikes import imitates, lookalike, skeleton
from governance.approval.tags import reserved

#: Spellings of the beginning of our tags that nobody tells from it at a glance.
IMITATIONS = {
    "a Cyrillic letter": "g\u043evernance.status",
    "Cyrillic capitals": "G\u041eV\u0415RNANCE.status",
    "a Greek letter": "go\u03bdernance.status",
    "a Greek capital": "gover\u039dance.status",
    "an Armenian letter": "gover\u0578ance.status",
    "Cherokee": "\u13c0overnance.status",
    "a small capital": "go\u1d20ernance.status",
    "no width": "gov\u200bernance.status",
    "no width at the start": "\ufeffgovernance.status",
    "a joiner": "gov\u200dernance.status",
    "a soft hyphen": "gov\u00adernance.status",
    "a variation selector": "gov\ufe0fernance.status",
    "a tag character": "gov\U000e0041ernance.status",
    "a direction mark": "\u202egovernance.status",
    "a Hangul filler": "gov\u3164ernance.status",
    "a hair space": "gov\u200aernance.status",
    "fullwidth": "\uff47\uff4f\uff56\uff45\uff52\uff4e\uff41\uff4e\uff43\uff45.status",
    "mathematical": "\U0001d420\U0001d428vernance.status",
    "circled": "\u24d6overnance.status",
    "a combining mark": "govern\u0301ance.status",
    "a mark around": "govern\u20ddance.status",
    "another dot": "governance\u2024status",
    "an Arabic dot": "governance\u0660status",
    "a fullwidth dot": "governance\uff0estatus",
    "a digit": "g0vernance.status",
    "one letter for two": "govemance.status",
    "a stroke": "g\u00f8vernance.status",
}


@pytest.mark.parametrize("spelling", IMITATIONS)
def test_a_tag_that_looks_like_ours_is_told(spelling):
    assert imitates(IMITATIONS[spelling])


@pytest.mark.parametrize(
    "key",
    [
        "governance", "governance_status", "my.governance.status", "govern.status", "mlflow.note",
        "", "\u0433\u043e\u0432\u0435\u0440\u043d", "gouvernance.status", "governances.status",
        "\u6cbb\u7406.status",
    ],
)  # fmt: skip
def test_other_tags_are_nobodys(key):
    assert not imitates(key)


@pytest.mark.parametrize("spelling", ["no width", "a soft hyphen", "a combining mark", "fullwidth"])
def test_what_a_database_may_take_for_ours_is_ours(spelling):
    assert reserved(IMITATIONS[spelling])


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("champi\u043en", "champion"), ("CHAMPI\u039fN", "champion"), ("\u0441hampion", "champion"),
        ("champ\u0456on", "champion"), ("cham\u0440ion", "champion"), ("champ1on", "champion"),
        ("\u0420rod", "prod"), ("stra\u00dfe", "strasse"),
    ],
)  # fmt: skip
def test_what_looks_alike_has_one_skeleton(name, other):
    assert skeleton(name) == skeleton(other)


def test_a_name_is_compared_with_those_that_are_there():
    names = ["retina", "Skin", "m\u00fcller", "\u0441\u043e\u0440"]

    assert lookalike("retin\u0430", names) == "retina"
    assert lookalike("retina\u200b", names) == "retina"
    assert lookalike("muller", names) == "m\u00fcller"
    assert lookalike("cop", names) == "\u0441\u043e\u0440"
    for fresh in (
        "retina",
        "Retina",
        "skin",
        "sk1n",
        "retinal",
        "\u0441\u043e\u0440",
        "\u043c\u043e\u0434\u0435\u043b\u044c",
    ):
        assert lookalike(fresh, names) is None, fresh
