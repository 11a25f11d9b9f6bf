"""What can be altered in a module, as single small edits: conditions, constants, and values that are returned or listed.

`docs/testing-the-tests.md` names the operators and what they leave alone. Nothing here knows tests.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

Family = Literal["condition", "constant", "value"]

OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
BORDERS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
}  # fmt: skip
# What a function of this return type may give instead. A value of another type would fail everywhere, and show nothing.
NEUTRAL = {
    "bool": ("True", "False"), "str": ("''",), "bytes": ("b''",), "int": ("0",), "tuple": ("()",), "list": ("[]",), "dict": ("{}",),
    "set": ("set()",), "frozenset": ("frozenset()",), "Iterator": ("iter(())",), "Mapping": ("{}",), "Sequence": ("()",),
}  # fmt: skip
# Types are no behaviour; these are how they are written where a value could stand.
TYPE_WORDS = {
    "Annotated", "Any", "Callable", "ClassVar", "Final", "Iterable", "Iterator", "Literal", "Mapping", "Sequence", "cast", "TypeVar",
    "NewType", "dict", "frozenset", "list", "set", "tuple", "type",
}  # fmt: skip
# How an object is stored or shown to its programmer, how much is remembered, and what only guards a programmer's slip.
INERT_KEYWORDS = {"frozen", "gc", "kw_only", "maxsize", "repr", "slots", "strict", "weakref_slot"}


@dataclass(frozen=True, order=True)
class Site:
    """One place in a module, with all that could stand there instead.

    Args:
        start, end: the characters of the source that are replaced.
        family: what is altered.
        scope: the function or class around it by its qualified name; empty at module level.
        line: counted from 1.
        instead: the texts that could stand there.
    """

    start: int
    end: int
    family: Family
    scope: str
    line: int
    instead: tuple[str, ...]

    def applied(self, source: str, text: str) -> str:
        return source[: self.start] + text + source[self.end :]


@cache
def sites(source: str) -> tuple[Site, ...]:
    """All places of a module that can be altered, in order. Alterations that change nothing in the syntax tree are left out."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return tuple(sorted(set(finder.found)))


class _Finder(ast.NodeVisitor):
    def __init__(self, source: str) -> None:
        self.source = source
        # ast counts UTF-8 bytes in a line; sites count characters in the source.
        self.lines = source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.found: list[Site] = []
        self.scope: list[str] = []
        self.returns: list[str] = []

    def offset(self, line: int, column: int) -> int:
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def add(self, node: ast.expr, family: Family, instead: Iterator[str] | tuple[str, ...]) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)
        before = ast.unparse(node)
        texts = tuple(dict.fromkeys(text for text in instead if text != before))
        if texts:
            self.found.append(Site(start, end, family, ".".join(self.scope), node.lineno, texts))

    # --- what stands around ---------------------------------------------------------------------------------------------

    def visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self.scope.append(node.name)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        self.returns.append(ast.unparse(node.returns) if node.returns else "")
        for statement in node.body:
            self.visit(statement)
        self.returns.pop()
        self.scope.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_function  # noqa: N815 -- the names that ast.NodeVisitor calls

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    def visit_Import(self, node: ast.Import) -> None: ...

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_Assert(self, node: ast.Assert) -> None:
        """Assertions in the product tell the type checker what holds anyway."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Python 3.11 does not know where the parts of a formatted string stand."""

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and ast.unparse(node.annotation) != "TypeAlias":
            self.visit(node.value)
            self.elements(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        if names & {"__all__", "__slots__", "__match_args__"}:
            return
        self.visit(node.value)
        if all(isinstance(target, ast.Name) for target in node.targets):
            self.elements(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not (isinstance(node.value, ast.Name) and node.value.id in TYPE_WORDS):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in TYPE_WORDS:
            for argument in node.args[1:] if node.func.id == "cast" else node.args:
                self.visit(argument)
            return
        self.visit(node.func)
        random = any(
            ast.unparse(part).endswith("entropy") for part in (*node.args, getattr(node.func, "value", node.func))
        )
        for argument in node.args:
            if random and isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                continue  # the label of a stream of random numbers: another name, other numbers, as good
            self.visit(argument)
            self.elements(argument)
        for keyword in node.keywords:
            if keyword.arg not in INERT_KEYWORDS:
                self.visit(keyword.value)
                self.elements(keyword.value)

    # --- conditions -----------------------------------------------------------------------------------------------------

    def condition(self, test: ast.expr, *, can_be_true: bool = True) -> None:
        negated = f"(not ({ast.unparse(test)}))"
        self.add(test, "condition", (negated, "False", *(("True",) if can_be_true else ())))

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.condition(node.test)
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.condition(node.test, can_be_true=False)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.condition(test)
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        if node.guard is not None:
            self.condition(node.guard)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        texts = [ast.unparse(ast.BoolOp(other, node.values))]
        for index in range(len(node.values)):
            rest = node.values[:index] + node.values[index + 1 :]
            texts.append(ast.unparse(ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0]))
        self.add(node, "condition", tuple(f"({text})" for text in texts))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        texts = []
        for index, operator in enumerate(node.ops):
            for table in (OPPOSITES, BORDERS):
                if type(operator) in table:
                    changed = [*node.ops[:index], table[type(operator)](), *node.ops[index + 1 :]]
                    texts.append(f"({ast.unparse(ast.Compare(node.left, changed, node.comparators))})")
        self.add(node, "condition", tuple(texts))
        for comparator in node.comparators:
            self.elements(comparator)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.add(node, "condition", (f"({ast.unparse(node.operand)})",))
        self.generic_visit(node)

    # --- constants ------------------------------------------------------------------------------------------------------

    def visit_Constant(self, node: ast.Constant) -> None:
        match node.value:
            case bool():
                self.add(node, "constant", (repr(not node.value),))
            case int() | float():
                self.add(node, "constant", (f"({node.value} + 1)", f"({node.value} - 1)"))
            case bytes():
                self.add(node, "constant", (f"({node.value!r} + b'~')",))
            case str() if not any(character.isspace() for character in node.value):
                self.add(node, "constant", (f"({node.value!r} + '~')",))

    # --- values ---------------------------------------------------------------------------------------------------------

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            return
        annotation = self.returns[-1]
        texts = list(NEUTRAL.get(annotation.partition("[")[0].partition(" |")[0], ()))
        if annotation.endswith("| None"):
            texts.append("None")
        self.add(node.value, "value", tuple(texts))
        self.visit(node.value)

    def elements(self, node: ast.expr) -> None:
        """A list without one of its elements. Tuples that are taken apart at once are no lists."""
        if not isinstance(node, ast.Tuple | ast.List | ast.Set):
            return
        texts = []
        for index in range(len(node.elts)):
            rest = [*node.elts[:index], *node.elts[index + 1 :]]
            if isinstance(node, ast.Set):
                texts.append(ast.unparse(ast.Set(rest)) if rest else "set()")
            else:
                texts.append(ast.unparse(type(node)(rest, ast.Load())))
        self.add(node, "value", tuple(texts))

    def visit_Tuple(self, node: ast.Tuple) -> None:
        for element in node.elts:
            self.visit(element)
            self.elements(element)

    visit_List = visit_Set = visit_Tuple  # noqa: N815 -- the names that ast.NodeVisitor calls

    def visit_Dict(self, node: ast.Dict) -> None:
        texts = []
        for index in range(len(node.keys)):
            keys, values = [*node.keys], [*node.values]
            del keys[index], values[index]
            texts.append(ast.unparse(ast.Dict(keys, values)))
        self.add(node, "value", tuple(texts))
        for item in (*node.keys, *node.values):
            if item is not None:
                self.visit(item)
                self.elements(item)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.elements(node.type)
        for statement in node.body:
            self.visit(statement)
