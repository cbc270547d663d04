from governance.records.wording import first_few


def test_the_first_few_names_stand_in_a_sentence_and_the_others_are_counted():
    assert first_few([]) == ""
    assert first_few(["a"]) == "a"
    assert first_few(list("abcde")) == "a, b, c, d, e"
    assert first_few(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert first_few(list("abc"), 1) == "a and 2 more"
