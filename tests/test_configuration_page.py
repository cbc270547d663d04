"""The page of the configuration lists every key, and what it shows can be read."""

import re
from pathlib import Path

import pytest

from governance.approval.protection import Protection
from governance.cli.configuration import CLIENT
from governance.errors import PolicyError
from governance.records.configuration import SHARED, configuration
from governance.worker.config import WorkerConfig

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")


def documented(title):
    """The keys in the table below a title, and those of the tables below it that are tables."""
    section = PAGE.partition(f"## {title}")[2].partition("\n## ")[0]
    own, *nested = section.split("\n### ")
    tables = {re.match(r"`\[\[\w+\.(\w+)\]\]`", table)[1] for table in nested}
    return tables | set(re.findall(r"^\| `(\w+)` \|", own, flags=re.MULTILINE))


def accepted(problems, table):
    """The keys of a table, as the refusal of an unknown one names them."""
    (told,) = (item for item in problems if f"{table}.nonsense: unknown key" in item)
    return set(told.partition("accepted are ")[2].split(", "))


def test_every_key_of_the_server_is_on_the_page(tmp_path):
    file = tmp_path / "governance.toml"
    file.write_text('keyring = "k"\n[registry]\nnonsense = 1\n')

    problem = Protection.at(file).problem

    assert accepted(problem.splitlines(), "registry") == documented("Table `[registry]`")


def test_every_key_of_the_worker_is_on_the_page(tmp_path):
    file = tmp_path / "governance.toml"
    file.write_text("[worker]\nnonsense = 1\n")

    with pytest.raises(PolicyError) as caught:
        WorkerConfig.load(file)

    assert accepted(caught.value.problems, "worker") == documented("Table `[worker]`")


def test_every_key_of_a_client_and_every_shared_one_is_on_the_page():
    assert set(CLIENT) == documented("Table `[client]`")
    assert set(SHARED) == documented("Shared keys")


def shown():
    """Every configuration that a page shows."""
    for path in sorted(DOCS.rglob("*.md")):
        for text in re.findall(
            r"^```toml\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        ):
            if re.search(r"^(keyring =|\[registry\]|\[worker\]|\[client\])", text, re.MULTILINE):
                yield pytest.param(text, id=path.stem)


@pytest.mark.parametrize("text", list(shown()))
def test_every_configuration_that_is_shown_is_accepted(text, tmp_path):
    file = tmp_path / "governance.toml"
    file.write_text(text)
    for name in re.findall(r'policy = "([^"]+)"', text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert configuration(text, file, "registry").own.problems == []
    assert "keyring" not in text or Protection.at(file).problem is None
    if "[worker]" in text:
        assert WorkerConfig.load(file).rules
