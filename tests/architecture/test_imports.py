"""The plan of the house, from the imports themselves; `lint-imports` holds the layers."""

from collections.abc import Iterator
from importlib import import_module

import grimp
import pytest

OPEN = frozenset(
    {"core.kernel", "core.services", "gateway.cli", "gateway.resolvers", "gateway.schema"}
)
"""Packages each of whose files is its own face."""
NESTED = frozenset({"gateway.http", "gateway.channels"})
"""Packages that hold packages and nothing else."""


@pytest.fixture(scope="session")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("core", "gateway", "sandbox", cache_dir=None)


def package_of(module: str) -> str:
    """The package whose face stands for the module."""
    parts = module.split(".")
    depth = 3 if ".".join(parts[:2]) in NESTED and len(parts) > 2 else 2
    return ".".join(parts[:depth])


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """What is left once all that imports nothing, or nothing that is left, is taken away."""
    left = {module: set(found) for module, found in imports.items()}
    while free := [module for module, found in left.items() if not found & left.keys()]:
        for module in free:
            del left[module]
    return [sorted(left)] if left else []


def imports_of(graph: grimp.ImportGraph) -> dict[str, set[str]]:
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_two_files_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    assert circles(imports_of(graph)) == []


def test_finds_a_circle_control(graph: grimp.ImportGraph) -> None:
    imports = imports_of(graph)
    imports["core.kernel.clock"] = {"core.kernel.ids"}

    assert circles(imports) != []
    assert {"core.kernel.clock", "core.kernel.ids"} <= set(circles(imports)[0])


def test_no_file_lies_straight_in_core(graph: grimp.ImportGraph) -> None:
    assert [
        module for module in graph.find_children("core") if not graph.find_children(module)
    ] == []


def inside_imports(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    """Imports that reach past a package's face: into a file that its `__all__` does not name."""
    for importer, found in imports_of(graph).items():
        for imported in found:
            package = package_of(imported)
            if package in OPEN or package in NESTED or imported == package:
                continue
            if package_of(importer) == package or not imported.startswith(("core.", "gateway.")):
                continue
            face: list[str] = getattr(import_module(package), "__all__", [])
            if imported.removeprefix(f"{package}.") not in face:
                yield importer, imported


def test_outside_a_package_only_its_face_is_imported(graph: grimp.ImportGraph) -> None:
    assert list(inside_imports(graph)) == []


def test_finds_an_import_past_a_face_control(graph: grimp.ImportGraph) -> None:
    graph.add_import(importer="core.cards.cards", imported="core.db.query")
    try:
        assert list(inside_imports(graph)) == [("core.cards.cards", "core.db.query")]
    finally:
        graph.remove_import(importer="core.cards.cards", imported="core.db.query")
