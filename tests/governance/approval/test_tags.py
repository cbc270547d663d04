import pytest

from governance.approval.tags import BEGIN, END, plain, reserved, without_summary


@pytest.mark.parametrize(
    "key",
    [
        "governance.status",
        "governance.anything",
        "Governance.Status",
        " governance.status",
        "governánce.status",
        "\uff27overnance.status",
    ],
)
def test_a_tag_that_some_database_takes_for_ours_is_ours(key):
    assert reserved(key)


@pytest.mark.parametrize("key", ["governance", "my.governance.status", "mlflow.note", ""])
def test_other_tags_are_not(key):
    assert not reserved(key)


def test_a_verdict_says_all_the_plain_tags(verdict):
    assert plain(verdict(verdict="rejected")) == {
        "governance.run_id": "0" * 32,
        "governance.digest": "sha256:" + "d" * 64,
        "governance.manifest": "sha256:" + "e" * 64,
        "governance.policy": f"Strict (sha256:{'c' * 64})",
        "governance.status": "rejected",
    }


def test_a_verdict_without_a_record_takes_the_record_away(verdict):
    said = verdict(
        verdict="undetermined", run_id=None, assessment_digest=None, manifest=None,
        policy_digest=None, detail="out of memory three times",
    )  # fmt: skip

    assert plain(said) == {
        "governance.run_id": None,
        "governance.digest": None,
        "governance.manifest": None,
        "governance.policy": None,
        "governance.status": "undetermined",
    }


@pytest.mark.parametrize("status", ["running", "pending"])
def test_a_passing_status_leaves_the_record(verdict, status):
    assert plain(verdict(verdict=status)) == {"governance.status": status}


def test_a_revoked_version_is_rejected(waiver):
    said = waiver(kind="revocation", metric=None, bound=None)

    assert plain(said) == {"governance.status": "rejected"}


def test_our_summary_goes_and_the_rest_stays():
    text = f"mine\n\n{BEGIN}\napproved\n{END}\n\nalso mine {BEGIN}"

    assert without_summary(text) == f"mine\n\n\n\nalso mine {BEGIN}"


def test_the_first_sentence_of_our_summary_goes_with_it_and_no_other_sentence_does():
    ours = f"Governance: approved. All is met.\n{BEGIN}\n| x |\n{END}"

    assert without_summary(f"mine\n\n{ours}\n\nalso mine") == "mine\n\n\n\nalso mine"
    assert without_summary(f"mine\n{BEGIN}\n{END}") == "mine"
    kept = "Governance: approved by Ann.\n"
    assert without_summary(f"{kept}{BEGIN}\n{END}") == kept.strip()
    apart = "Governance: approved. By Ann.\n\n"
    assert without_summary(f"{apart}{BEGIN}\n{END}") == apart.strip()
