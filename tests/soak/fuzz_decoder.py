"""Coverage-guided fuzzing of the request decoder: every bad input must become a refusal.

    make fuzz        or   .venv/bin/python -m tests.soak.fuzz_decoder [--inputs 1000000] [--control]

An input's first byte chooses the way in (JSON, query string, form upload, a socket's message);
the rest is the body. Each is read, looked up, parsed, measured and validated, as a request is
before its session is looked up. Any exception other than `BadRequest` would be a 500, and ends
the run. `--control` removes one error translation from the decoder: then the run must find it.

atheris is installed in a separate environment, `.venv-fuzz`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

FUZZ_VENV = Path(__file__).parents[2] / ".venv-fuzz"
MAX_INPUT_BYTES = 4_096
_BOUNDARY = b"x"
_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n%s\r\n'
    b'--x\r\nContent-Disposition: form-data; name="map"\r\n\r\n%s\r\n'
    b'--x\r\nContent-Disposition: form-data; name="0"; filename="a"\r\n\r\nz\r\n--x--\r\n'
)
_UPLOAD = b'{"query": "mutation($f: Upload!) { uploadPortrait(file: $f) { __typename } }", "variables": {"f": null}}'
SEEDS = [
    b'\0{"query": "{ viewer { name } }", "variables": {"a": 1}, "operationName": null}',
    b'\0{"query": "query a { viewer { name } } query b { channels { name } }", "operationName": "b"}',
    b'\0{"query": "{ ...f } fragment f on Query { ...g } fragment g on Query { viewer { name } }"}',
    b'\0{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "' + b"0" * 64 + b'"}}}',
    b'\0{"documentId": "sha256:0"}',
    b'\0[{"query": "{ __typename }"}]',
    b"\1query=%7B__typename%7D&variables=%7B%22a%22%3A1%7D&operationName=",
    b"\2" + _FORM % (_UPLOAD, b'{"0": ["variables.f"]}'),
    b"\2" + _FORM % (b"null", b"[1]"),
    b'\3{"query": "subscription { productionProgress { nodes { node } } }"}',
]
_WORDS = ("query", "variables", "operationName", "extensions", "documentId", "persistedQuery",
          "sha256Hash", "mutation", "subscription", "fragment", "__schema", "@skip(if: true)", "...",
          "viewer", "operations", "map", "variables.f", "\\\\ud800", "\\\\u0000", "null")  # fmt: skip


def decoder() -> Callable[[bytes], None]:
    """One input from its bytes to what would run; raises what a client would see as a 500."""
    import logging

    from starlette.requests import Request
    from starlette.types import Message

    from core.kernel.clock import monotonic_clock
    from core.kernel.settings import Settings
    from gateway.http.admission import Admission, Budgets, Documents, PreparedDocuments, parameters
    from gateway.http.edge import BadRequest, read_head
    from gateway.http.graphql.view import read_parameters
    from gateway.schema import build_schema
    from gateway.schema.masking import sanitize_validation_error

    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    settings = Settings(address_budget=10**9, total_budget=10**9)
    admission = Admission(
        build_schema()._schema,
        Documents({"known": "{ __typename }"}, only_trusted=False),
        PreparedDocuments(sanitize=sanitize_validation_error),
        Budgets(settings, monotonic_clock),
    )
    host = (b"host", b"gateway")
    ways: list[dict[str, Any]] = [
        {"method": "POST", "headers": [host, (b"content-type", b"application/json")]},
        {"method": "GET", "headers": [host]},
        {
            "method": "POST",
            "headers": [host, (b"content-type", b"multipart/form-data; boundary=x")],
        },
    ]

    def read(way: int, body: bytes) -> parameters.Parameters:
        if way == len(ways):
            return parameters.from_json(body)
        query_string = body if ways[way]["method"] == "GET" else b""
        scope: Any = {"type": "http", "query_string": query_string, **ways[way]}

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        request = Request(scope, receive)
        try:
            found: parameters.Parameters = _at_once(
                read_parameters(request, read_head(scope["headers"]), lambda _: None)
            )
            return found
        finally:
            _at_once(request.close())

    def run(data: bytes) -> None:
        if not data:
            return
        try:
            asked = read(data[0] % (len(ways) + 1), data[1:])
            admitted = admission.admit(asked, "10.0.0.1", None)
            codes = [(error.extensions or {}).get("code") for error in admitted.prepared.errors]
            if not all(codes):
                raise RuntimeError("an error without a code")
        except BadRequest as refusal:
            if refusal.status >= 500:
                raise RuntimeError("a refusal that blames the server") from refusal

    return run


def _at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """Never suspends: the whole body is there."""
    try:
        work.send(None)
    except StopIteration as finished:
        return finished.value
    raise RuntimeError("the decoder waits for more than the body")


def _fuzz(corpus: Path, inputs: int, *, control: bool) -> None:
    sys.path.append(str(next(FUZZ_VENV.glob("lib/python*/site-packages"))))
    import atheris

    with atheris.instrument_imports(
        include=[
            "gateway.http",
            "gateway.schema.masking",
            "graphql.language",
            "starlette.formparsers",
        ]
    ):
        run = decoder()
        if control:
            _take_out_a_translation()
    words = corpus.parent / "words"
    words.write_text("\n".join(f'"{word}"' for word in _WORDS))
    options = [
        f"-runs={inputs}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-dict={words}",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus.parent}/", str(corpus)], run)
    atheris.Fuzz()


def _take_out_a_translation() -> None:
    """The decoder without its check of where files are placed."""
    from gateway.http.admission import parameters

    def place(operations: Any, path: Any, file: object) -> None:
        *inner, last = path.split(".")
        here = operations
        for key in inner:
            here = here[key]
        here[last] = file

    parameters._place = place


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--inputs", type=int, default=1_000_000)
    options.add_argument("--control", action="store_true")
    options.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.corpus:
        _fuzz(given.corpus, given.inputs, control=given.control)
        return
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(SEEDS):
            (corpus / str(number)).write_bytes(seed)
        command = [
            sys.executable,
            "-m",
            "tests.soak.fuzz_decoder",
            *sys.argv[1:],
            "--corpus",
            str(corpus),
        ]
        done = subprocess.run(command, env=os.environ, check=False)  # noqa: S603
    found = done.returncode != 0
    print("found an input that would be a 500" if found else "no input would be a 500")
    raise SystemExit(not found if given.control else found)


if __name__ == "__main__":
    main()
