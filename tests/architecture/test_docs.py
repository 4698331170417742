"""What a page names exists: links, paths, make targets, modules, settings and tests."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from core.kernel.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
EXAMPLES = re.compile("kiosk")
"""What docs/adding-a-channel.md adds."""
_PATH = re.compile(
    r"(?![\d/])[\w.-]+(/[\w.*{},-]*)+|[\w-]+\.(py|md|ya?ml|json|toml|graphql|c|tsx?|mjs|csv)"
)
_MEDIA_TYPE = re.compile(r"(application|image|multipart|text|draft)\b")
_WRITTEN = ("var/", ".venv/", "FILE.", "banks.csv", "districts.csv", "outlets.csv")
"""Written by running or by an operator: not in the repository."""
_OUTSIDE = {"CARD_GATEWAY_SECRETS_DIR"}


@cache
def files() -> set[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return {file for file in listed.stdout.splitlines() if (ROOT / file).is_file()}


@cache
def names() -> set[str]:
    return {Path(file).name for file in files()}


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@cache
def settings() -> set[str]:
    return {PREFIX + name.upper() for name in Settings.__dataclass_fields__} | _OUTSIDE


@cache
def functions() -> set[str]:
    written = (ROOT / file for file in files() if re.search(r"test_\w+\.py$", file))
    return {name for path in written for name in re.findall(r"def (test_\w+)", path.read_text())}


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def missing(page: Path, text: str) -> Iterator[str]:
    """What the text of a page names and the repository does not have."""
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield f"link {link}"
    for code in re.findall(r"`([^`\n]+)`", text):
        for word in code.split():
            path = word.strip(",;:()…").split("::")[0]
            if _PATH.fullmatch(path) and not _MEDIA_TYPE.match(path) and not exists(page, path):
                yield f"path {path}"
    yield from (f"target {name}" for name in made(text) if name not in targets())
    for module in re.findall(r"python -m ((?:bench|core|gateway|sandbox|tests)[\w.]*)", text):
        path = module.replace(".", "/")
        if not files() & {f"{path}.py", f"{path}/__main__.py"}:
            yield f"module {module}"
    for setting in re.findall(rf"`({PREFIX}[A-Z0-9_]*[A-Z0-9])(?![A-Z0-9_…*])", text):
        if setting not in settings() and not EXAMPLES.search(setting.lower()):
            yield f"setting {setting}"
    for test in re.findall(r"(?:`|::)(test_\w+)`", text):
        if test not in functions() and f"{test}.py" not in names():
            yield f"test {test}"


def made(text: str) -> list[str]:
    return re.findall(r"(?:`|^)make ([a-z][\w-]+)", text, re.MULTILINE)


def exists(page: Path, path: str) -> bool:
    if path.startswith(_WRITTEN) or EXAMPLES.search(path) or path in names():
        return True
    if "*" in path or "{" in path:
        return any(ROOT.glob(re.sub(r"\{[^}]*\}", "*", path)))
    return (ROOT / path).exists() or (page.parent / path).exists()


PAGES = sorted(file for file in files() if file.endswith(".md"))


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page: str) -> None:
    assert list(missing(ROOT / page, (ROOT / page).read_text("utf-8"))) == []


def test_what_does_not_exist_is_found() -> None:
    """The control."""
    text = (
        "[gone](gone.md), [no such title](README.md#gone), `core/gone/`, `gone.py`, `make gone`, "
        "`python -m bench.gone`, `CARD_GATEWAY_GONE`, `test_gone`"
    )

    assert [found.split()[0] for found in missing(ROOT / "README.md", text)] == [
        "link",
        "link",
        "path",
        "path",
        "target",
        "module",
        "setting",
        "test",
    ]


GUIDES = sorted(page for page in PAGES if re.match(r"docs/adding-a-(?!channel)", page))


@cache
def words_of_the_code() -> set[str]:
    kinds = (".py", ".ts", ".tsx", ".graphql", ".yaml")
    read = ((ROOT / file).read_text("utf-8") for file in files() if file.endswith(kinds))
    return {word for text in read for word in re.findall(r"[A-Za-z_]\w+", text)}


def unknown_names(text: str) -> set[str]:
    """Names in a page's Python that the code does not have."""
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    spans = [span for span in re.findall(r"`([^`\n]+)`", text) if re.fullmatch(r"[\w.]+", span)]
    code = [re.sub(r'"[^"]*"|#.*', "", block) for block in blocks] + spans
    found = {name for part in code for name in re.findall(r"[A-Za-z_]\w+", part)}
    variables = {name.lower() for name in settings()} | settings()
    return found - words_of_the_code() - variables


@pytest.mark.parametrize("page", GUIDES)
def test_the_names_in_a_guide_are_those_of_the_code(page: str) -> None:
    assert unknown_names((ROOT / page).read_text("utf-8")) == set()


def test_a_name_that_the_code_does_not_have_is_found() -> None:
    """The control."""
    gone = "bring_" + "home"

    assert unknown_names(f"```python\nawait self.{gone}(unit)\n```") == {gone}
    assert unknown_names(f"`{gone}`") == {gone}


def facts(text: str) -> dict[str, list[str]]:
    """What is the same in every language: commands, links, names in backticks, sizes."""
    return {
        "commands": sorted(set(made(text)) | set(re.findall(r"card-gateway ([a-z-]+)", text))),
        "links": sorted(re.findall(r"\]\(([^)\s]+)\)", text)),
        "names": sorted(set(re.findall(r"`([^`\n]+)`", text))),
        "sizes": sorted(re.findall(r"\d+ MB", text)),
    }


def test_the_two_readmes_name_the_same_things() -> None:
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))

    found, other = facts(english), facts(chinese)
    found["links"].remove("README.zh-CN.md")
    other["links"].remove("README.md")
    assert found == other
    assert facts(english.replace("make dev", "make run")) != facts(english)  # the control
