"""Expressions: the sizes of an export as arithmetic, told from text that would keep torch busy.

torch evaluates these texts with all of sympy at hand. `s0**9**9**9` is arithmetic too, and has more
digits than there are atoms; so powers are small, and the whole is short and shallow.
"""

import ast
import re
from collections.abc import Iterator

__all__ = ["LONGEST_EXPRESSION", "is_arithmetic"]

#: Characters of an expression.
LONGEST_EXPRESSION = 4_000
#: Brackets inside one another in an expression.
DEEPEST_EXPRESSION = 32
#: Numbers, sizes and operations in an expression.
MOST_TERMS = 1_000
#: Product of the exponents inside one another, as in `(s0**2)**2`.
HIGHEST_POWER = 8
#: Digits of a number in an expression.
MOST_DIGITS = 20

# Sizes come as sympy writes them: Add(Symbol('s77', positive=True, integer=True), Integer(-1)).
FUNCTION = (
    "Add|Mul|Pow|Integer|Rational|Symbol|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv"
    "|ModularIndexing|Where|ToFloat|IntTrueDiv|FloatTrueDiv|TruncToInt|CeilToInt|FloorToInt"
    "|RoundToInt|PowByNatural|FloatPow|Equality|Unequality|Eq|Ne|True|False|oo|int_oo"
    "|(positive|negative|nonnegative|nonzero|zero|integer|real|finite)="
)
EXPRESSION = re.compile(
    rf"([suz]\d+(?!\w)|'[suz]\d+'|\d+(\.\d+)?(?!\w)|({FUNCTION})(?=\W|$|True|False)"
    r"|[-+*/%(), <>=&|~])*"
)
DIGITS = re.compile(rf"\d{{{MOST_DIGITS + 1}}}")
POWERS = frozenset({"Pow", "PowByNatural", "FloatPow"})


def is_arithmetic(text: str) -> bool:
    """Whether a text is arithmetic of sizes that is evaluated in no time."""
    if len(text) > LONGEST_EXPRESSION or DIGITS.search(text) or _depth(text) > DEEPEST_EXPRESSION:
        return False
    if not text or not EXPRESSION.fullmatch(text):
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    terms = sum(isinstance(node, ast.expr) for node in ast.walk(tree))
    return terms <= MOST_TERMS and _power(tree.body) <= HIGHEST_POWER


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest


def _power(tree: ast.AST) -> float:
    """The highest product of exponents inside one another; infinite where one is no number."""
    highest, waiting = 1.0, [(tree, 1.0)]
    while waiting:
        node, product = waiting.pop()
        for exponent in _raised(node):
            product *= _exponent(exponent)
        highest = max(highest, product)
        waiting += [(child, product) for child in ast.iter_child_nodes(node)]
    return highest


def _raised(node: ast.AST) -> Iterator[ast.expr | None]:
    """The exponents of a node that is a power."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        yield node.right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in POWERS:
        yield node.args[1] if len(node.args) == 2 and not node.keywords else None  # noqa: PLR2004 - base and exponent


def _exponent(node: ast.expr | None) -> float:
    """The size of an exponent that is written as a number; infinite for any other."""
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        node = node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return max(float(node.value), 1.0)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        # Rational(1, 2) is a root.
        if node.func.id == "Rational" and node.args:
            return _exponent(node.args[0])
        if node.func.id in {"Integer", "ToFloat"} and len(node.args) == 1:
            return _exponent(node.args[0])
    return float("inf")
