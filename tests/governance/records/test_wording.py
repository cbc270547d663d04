from governance.records.wording import first_few, missing, why_missing


def test_the_first_few_names_stand_in_a_sentence_and_the_others_are_counted():
    assert first_few([]) == ""
    assert first_few(["a"]) == "a"
    assert first_few(list("abcde")) == "a, b, c, d, e"
    assert first_few(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert first_few(list("abc"), 1) == "a and 2 more"


def test_a_note_names_every_missing_metric_and_the_reason():
    assert missing(["a"], "there is no b") == "Missing: a, since there is no b."
    assert missing(["a", "b", "c"], "d") == "Missing: a, b and c, since d."


def test_the_reason_of_each_missing_metric_is_found_in_the_notes():
    notes = ("Two images.", missing(["a", "b", "c"], "d, e and f."), missing(["g"], "h"))

    assert [why_missing(notes, name) for name in "abcg"] == [*["d, e and f."] * 3, "h"]
    assert why_missing(notes, "d") is None
    assert why_missing((), "a") is None
