from dataclasses import replace

import pytest

from governance.records.version_ref import VersionRef

REF = VersionRef(name="retina", version="7", created=1_700_000_000_000)
PLACED = replace(REF, registry="https://models", workspace="team-a")


def test_a_reference_is_shown_as_the_uri_of_its_version():
    assert (REF.uri, str(PLACED)) == ("models:/retina/7", "models:/retina/7")


@pytest.mark.parametrize("changes", [{"name": "other"}, {"version": "8"}, {"created": 1}])
def test_name_number_and_creation_time_each_make_another_version(changes):
    assert REF.differences(replace(REF, **changes)) == tuple(changes)


def test_a_place_counts_only_where_both_references_name_one():
    elsewhere = replace(PLACED, registry="https://others", workspace="team-b")

    assert REF.differences(PLACED) == ()
    assert PLACED.differences(REF) == ()
    assert PLACED.differences(elsewhere) == ("registry", "workspace")


def test_a_version_differs_from_none_in_all_that_is_recorded():
    assert PLACED.differences(None) == ("name", "version", "created")
