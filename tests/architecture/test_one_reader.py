"""Request headers are read in one module only: what reads them elsewhere may choose otherwise."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HTTP = ROOT / "gateway" / "http"
READER = HTTP / "edge" / "head.py"
_CONNECTIONS = {"request", "connection", "websocket", "scope"}


def readings(source: str) -> Iterator[int]:
    """Lines that read headers of a connection: `request.headers`, `scope["headers"]`, `dict(self.headers)`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(ast.Name(name), "headers") if name in _CONNECTIONS:
                yield node.lineno
            case ast.Subscript(_, ast.Constant("headers")) if isinstance(node.ctx, ast.Load):
                if not _is_of_a_message(node.value):
                    yield node.lineno
            case ast.Attribute(ast.Name("head"), "values" | "raw"):
                yield node.lineno
            case ast.Call(ast.Name("dict"), [ast.Attribute(_, "headers")]):
                yield node.lineno


def _is_of_a_message(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "message"


def handed_on(source: str) -> Iterator[int]:
    """Lines that hand the raw list to the reader, unread."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(ast.Name("eligible_head" | "read_head")):
                yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def found_in(path: Path) -> list[str]:
    source = path.read_text("utf-8")
    lines = sorted(set(readings(source)) - set(handed_on(source)))
    return [f"{path.relative_to(ROOT)}:{line}" for line in lines]


def test_numbers_of_records_in_paths_have_their_own_convertor() -> None:
    """Starlette's `int` converts any digits, and raises for more than 4,300."""
    sources = [path.read_text("utf-8") for path in (ROOT / "gateway").rglob("*.py")]

    assert not [line for source in sources for line in source.splitlines() if ":int}" in line]
    assert ":record_id}" in "".join(sources)


def test_headers_are_read_in_one_module() -> None:
    found = [place for path in HTTP.rglob("*.py") if path != READER for place in found_in(path)]

    assert found == []


def test_finds_another_reader_control() -> None:
    for source in (
        'request.headers.get("accept")',
        'dict(scope["headers"])',
        'request.scope["headers"]',
        "head = dict(self.headers)",
        'head.values[b"accept"]',
    ):
        assert list(readings(source)), source
