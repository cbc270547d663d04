"""Waiting: where there is no terminal each step is one line, and a long step says how far it is."""

from governance.cli.waiting import Lines, progress_bar


def test_each_step_is_one_line_on_standard_error_where_there_is_no_terminal(capsys):
    with progress_bar() as progress:
        progress("opening the model", 0, 1)
        progress("performance", 0, 2)
        progress("performance", 0, 2, "100 passes")
        progress("drift", 1, 2)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "[0:00] opening the model",
        "[0:00] performance (1 of 2)",
        "[0:00] drift (2 of 2)",
    ]


def test_a_long_step_says_every_half_minute_how_far_it_is(capsys):
    # arrange
    now = 100.0
    lines = Lines(lambda: now)
    # act
    for now in (100.0, 110.0, 129.9, 130.0, 159.0, 165.0):
        lines("genetic_explanation", 3, 9, f"{now:.0f} passes" if now > 100 else "")
    # assert
    assert capsys.readouterr().err.splitlines() == [
        "[0:00] genetic_explanation (4 of 9)",
        "[0:30] genetic_explanation (4 of 9): 130 passes",
        "[1:05] genetic_explanation (4 of 9): 165 passes",
    ]


def test_the_name_of_a_step_is_neither_markup_nor_steers_a_terminal(capsys):
    Lines(lambda: 0.0)("[bold]x[/bold]\x1b[2J", 0, 1)
    assert capsys.readouterr().err == "[0:00] [bold]x[/bold]\ufffd[2J\n"
