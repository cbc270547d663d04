"""An address of a policy holds no secret, and is one of a server that scores."""

import pytest

from governance.errors import PolicyError
from governance.records.served_terms import (
    LONGEST_ADDRESS,
    ServedTerms,
    address_problem,
    read_served,
)
from governance.records.toml_reader import parse


def read(text):
    reader = parse(text, "policy.toml")
    found = read_served(reader.table("model"))
    return found, reader.problems


def test_without_the_table_there_are_no_terms():
    assert read("[model]\n") == (None, [])


def test_an_address_is_filled_in_for_a_version():
    terms, problems = read(
        '[model.served]\naddress = "https://s.example/{name}/{version}/invocations"\nseconds = 5\n'
    )
    assert problems == []
    found = terms.address_of("a/b c@ü", "7")
    assert found == "https://s.example/a%2Fb%20c%40%C3%BC/7/invocations"
    assert address_problem(found) is None
    assert ServedTerms().address_of("a", "1") is None


@pytest.mark.parametrize(
    "address",
    [
        "ftp://s.example/invocations", "/invocations", "https:///invocations", "https://s.example/",
        "https://user@s.example/invocations", "https://u:p@s.example/invocations",
        "https://s.example/invocations?token=1", "https://s.example/invocations#x",
        "https://{name}/invocations", "https://s.example/{host}/invocations",
        "https://s.example:99999/invocations", "https://s.example:0/invocations",
        "https://s.example/a b/invocations", "https://s.example/\n/invocations",
        "https://[::1/invocations", "https://s.example/" + LONGEST_ADDRESS * "a" + "/invocations",
    ],
)  # fmt: skip
def test_an_address_that_could_hold_a_secret_or_is_of_no_scoring_server_is_refused(address):
    assert "is accepted" in address_problem(address)


def test_all_problems_are_told_at_once():
    _, problems = read(
        '[model.served]\naddress = "x"\nseconds = 601\nstart_seconds = 0\nwait = 1\n'
    )
    assert len(problems) == 4
    assert all("policy.toml: model.served." in problem for problem in problems)


def test_a_policy_error_is_what_a_file_with_them_gives():
    with pytest.raises(PolicyError):
        parse("[model.served]\naddress = \n", "policy.toml")
