"""Expressions: arithmetic as torch writes it passes, and whatever would keep it busy does not."""

import pytest

from governance.subject.model_files.expressions import is_arithmetic

S0, S1 = "Symbol('s0', positive=True, integer=True)", "Symbol('s53', positive=True, integer=True)"


@pytest.mark.parametrize(
    "text",
    [
        S0,
        f"Mul(Integer(3), {S0}, {S1})",
        f"Mul(Max(Integer(1), Add({S0}, Integer(-2))), Max(Integer(1), Add({S1}, Integer(-2))))",
        f"Add(FloorDiv(Add(FloorDiv(Add({S0}, Integer(-1)), Integer(2)), Integer(1)), Integer(2)))",
        f"Pow(FloorDiv({S0}, Integer(32)), Integer(2))",
        f"Pow({S0}, Rational(1, 2))",
        f"PowByNatural({S0}, Integer(3))",
        "s0**2 + 3*s77 - (s0 - 1)//2",
        "Pow(s0, Integer(-1))",
        "(s0**2)**2",
        "oo",
        "True",
        "u0",
        "2.5*s0",
        "+".join(["s0"] * 400),
        "s0**" + "-" * 900 + "2",
    ],
)
def test_arithmetic_of_sizes_is_taken(text):
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    [
        "s0**9**9**9",
        "9**9**9",
        "((s0**4)**4)**4",
        "Pow(Pow(s0, Integer(9)), Integer(9))",
        "Pow(s0, s0)",
        "s0**s0",
        "s0**-s0",
        "s0**(2 + 2)",
        "s0**1e9",
        "Pow(s0)",
        "Pow(s0, Integer(9, 9))",
        "PowByNatural(Integer(9), Integer(999999999))",
        "FloatPow(s0, Mul(Integer(9), Integer(9)))",
        "9" * 21,
        "+".join(["s0"] * 1001),
        "-" * 4001,
        "(" * 33 + "s0" + ")" * 33,
        "-" * 3000 + "s0",
        "(s0",
        "s0**" + "-" * 900 + "9",
        "",
        "Symbol.mro()",
        "__import__('os')",
        "s0 if s0 else s0",
    ],
    ids=range(24),
)
def test_what_would_keep_torch_busy_is_not(text):
    assert not is_arithmetic(text)
