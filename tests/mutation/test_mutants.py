"""The harness itself: what it alters, what it leaves alone, and that the same seed draws the same mutants."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.__main__ import TARGETS, draw, modules
from tests.mutation.mutants import sites
from tests.mutation.reach import Reach, functions, nearest

ROOT = Path(__file__).parents[2]


def altered(source: str) -> set[str]:
    return {site.applied(source, text) for site in sites(source) for text in site.instead}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if a:\n    b()", {"if (not (a)):\n    b()", "if True:\n    b()", "if False:\n    b()"}),
        ("while a: b()", {"while (not (a)): b()", "while False: b()"}),
        ("x = a and b", {"x = (a or b)", "x = (a)", "x = (b)"}),
        ("x = not a", {"x = (a)"}),
        ("x = a < b", {"x = (a >= b)", "x = (a <= b)"}),
        ("x = a is None", {"x = (a is not None)"}),
        ("x = 5", {"x = (5 + 1)", "x = (5 - 1)"}),
        ("x = True", {"x = False"}),
        ("x = 'é'", {"x = ('é' + '~')"}),
        ("x = a, b", {"x = (b,)", "x = (a,)"}),
        ("x = {a: b, **c}", {"x = {**c}", "x = {a: b}"}),
        ("x = [e for e in a if e]", {"x = [e for e in a if (not (e))]", "x = [e for e in a if True]", "x = [e for e in a if False]"}),
        ("def f() -> bool:\n    return a", {"def f() -> bool:\n    return True", "def f() -> bool:\n    return False"}),
        ("def f() -> str | None:\n    return a", {"def f() -> str | None:\n    return ''", "def f() -> str | None:\n    return None"}),
    ],
)  # fmt: skip
def test_each_operator_makes_these_alterations(source: str, expected: set[str]) -> None:
    assert altered(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "def f(a: 'int' = b) -> 'str':\n    '''Words.'''",
        "import a.b\nfrom c import d",
        "__all__ = ['a', 'b']",
        "assert a is not None, 5",
        "x = 'a sentence for people'",
        "x = f'{a!r:>5}'",
        "X = Literal['a', 'b']",
        "x = cast('int', a)",
        "class A(B, frozen=True): a: int",
        "x = field(repr=False)",
        "if TYPE_CHECKING:\n    import a",
        "a, b = c, d",
        "entropy.bytes('purpose')",
        "new_number(unit.entropy, 'purpose')",
    ],
)
def test_what_cannot_matter_is_left_alone(source: str) -> None:
    assert altered(source) == set()


def test_every_alteration_of_the_product_is_python_of_another_meaning() -> None:
    for path in ("server_stub/log_chain.py", "server_stub/checks/engine.py"):
        source = (ROOT / path).read_text()
        tree = ast.dump(ast.parse(source))
        for text in altered(source):
            assert ast.dump(ast.parse(text)) != tree


def test_every_target_is_there_and_near_to_tests_that_are_there() -> None:
    for target in TARGETS:
        assert (ROOT / target).exists(), target
        for module in modules(ROOT / target):
            for path in nearest(str(module.relative_to(ROOT))):
                assert (ROOT / path).exists(), path


def test_a_seed_draws_the_same_mutants_and_another_seed_others() -> None:
    first, again, other = ([mutant.diff() for mutant in draw(seed, 20, ROOT)] for seed in ("one", "one", "two"))
    assert first == again
    assert len(set(first)) == 20
    assert first != other


def test_the_tests_that_reach_a_function_come_nearest_first() -> None:
    reach = Reach(
        {
            "server_stub/bundle.py": {
                "a": ["tests/phone/t.py::far", "tests/compliance/t.py::wide", "tests/compliance/t.py::narrow"],
                "b": ["tests/compliance/t.py::wide"],
            }
        }
    )
    near = ["tests/compliance/t.py::narrow", "tests/compliance/t.py::wide"]
    assert reach.stages("server_stub/bundle.py", "a") == [near, ["tests/phone/t.py::far"]]
    assert reach.stages("server_stub/bundle.py", "") == [near, ["tests/phone/t.py::far"], ["tests/compliance"]]
    assert reach.stages("server_stub/log_chain.py", "a") == [["tests/compliance", "tests/reliability"]]


def test_the_body_of_a_function_belongs_to_the_innermost() -> None:
    source = "class A:\n    x = 1\n    def f(self):\n        def g():\n            return 1\n        return g\n"
    assert functions(source) == {4: "A.f", 5: "A.f.g", 6: "A.f"}
