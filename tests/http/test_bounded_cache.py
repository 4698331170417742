"""What clients send is kept by weight, and nobody's push out the others'."""

import contextlib
import gc
import tracemalloc
from collections.abc import Iterator

import pytest
from graphql import GraphQLError, GraphQLSchema, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.compiled import Plans
from gateway.http.admission import BoundedCache, PreparedDocuments, prepared
from gateway.schema import build_schema
from gateway.schema.masking import sanitize_validation_error

OURS, THEIRS, OTHERS = b"10.0.0.1", b"10.0.0.2", b"10.0.0.3"
CHANNELS = "{ channels { id name } }"


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    found: GraphQLSchema = build_schema()._schema
    return found


@pytest.fixture
def without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def documents() -> PreparedDocuments:
    return PreparedDocuments(sanitize=sanitize_validation_error)


def distinct(number: int) -> str:
    return f"{{ a{number}: channels {{ id name }} }}"


# --- the cache -----------------------------------------------------------------------------


def test_an_owner_displaces_its_own_entries_first() -> None:
    cache: BoundedCache[str, str] = BoundedCache(100)
    cache.put("theirs", "value", 25, THEIRS)

    for number in range(1_000):
        cache.put(f"ours {number}", "value", 5, OURS)

    assert cache.get("theirs") == "value"
    assert cache.get("ours 999") == "value"
    assert cache.get("ours 994") is None
    assert cache.weight == 25 + 25


def test_without_a_share_one_would_push_out_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: one owner may fill all of it."""
    monkeypatch.setattr("gateway.http.admission.bounded_cache.SHARE", 1)
    cache: BoundedCache[str, str] = BoundedCache(100)
    cache.put("theirs", "value", 25, THEIRS)

    for number in range(1_000):
        cache.put(f"ours {number}", "value", 5, OURS)

    assert cache.get("theirs") is None


def test_what_was_used_last_stays() -> None:
    cache: BoundedCache[int, str] = BoundedCache(100)
    for number in range(20):
        cache.put(number, "value", 5, b"%d" % (number % 10))
    cache.get(0)

    cache.put(20, "value", 5, OTHERS)

    assert cache.get(0) == "value"
    assert cache.get(1) is None
    assert len(cache) == 20
    assert cache.weight == 100


def test_another_cannot_take_over_an_entry() -> None:
    cache: BoundedCache[str, str] = BoundedCache(100)
    cache.put("theirs", "value", 25, THEIRS)

    cache.put("theirs", "value", 25, OURS)
    for number in range(10):
        cache.put(f"ours {number}", "value", 25, OURS)

    assert cache.get("theirs") == "value"


def test_what_is_larger_than_a_share_is_not_kept() -> None:
    cache: BoundedCache[str, str] = BoundedCache(100)
    cache.put("small", "value", 25, OURS)

    cache.put("large", "value", 26, OURS)

    assert cache.get("large") is None
    assert cache.get("small") == "value"


# --- documents -----------------------------------------------------------------------------


def test_an_invalid_document_is_not_kept(schema: GraphQLSchema) -> None:
    kept = documents()

    for text in ("{ nothing }", "{", "{ channels }", "{" + "a " * 3_000 + "}"):
        kept.keep(kept.prepare(schema, text), OURS)
        assert kept.kept(text) is None

    kept.keep(kept.prepare(schema, CHANNELS), OURS)
    assert kept.kept(CHANNELS) is not None


def test_a_manifests_document_stays(schema: GraphQLSchema, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MAX_KEPT_BYTES", 100_000)
    kept = documents()
    kept.trust(schema, CHANNELS)

    for number in range(100):
        kept.keep(kept.prepare(schema, distinct(number)), b"%d" % number)

    assert kept.kept(CHANNELS) is not None
    assert kept.kept(distinct(99)) is not None
    assert kept.kept(distinct(0)) is None


@pytest.mark.parametrize("text", [CHANNELS, "{ channels { id name", "{" + "a " * 3_000 + "}"])
def test_what_was_parsed_is_freed_without_a_collection(
    without_collections: None, text: str
) -> None:
    """Full collections are rare: what only they would free stays for minutes."""

    def attempt() -> None:
        with contextlib.suppress(GraphQLError):
            prepared._parse(text)

    attempt()
    before = len(gc.get_objects())

    for _ in range(20):
        attempt()

    assert len(gc.get_objects()) - before < 20


def test_without_unlinking_tokens_stay(without_collections: None) -> None:
    """The control: tokens refer to the next and to the one before."""
    before = len(gc.get_objects())

    for _ in range(20):
        parse(CHANNELS)

    assert len(gc.get_objects()) - before > 20


def test_the_weight_is_about_the_memory(schema: GraphQLSchema) -> None:
    kept, plans = documents(), Plans(schema)
    texts = [
        f"{{ {' '.join(f'a{n}x{number}: channels {{ id name }}' for n in range(20))} }}"
        for number in range(10)
    ]

    def make(text: str) -> prepared.Prepared:
        made = kept.prepare(schema, text)
        assert made.document is not None
        plan = plans.plan(made.document, None, StrawberryGraphQLCoreExecutionContext)
        assert plan is not None
        plan._variant(())
        return made

    make(texts[0])
    gc.collect()
    tracemalloc.start()

    made = [make(text) for text in texts]

    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 0.5 < taken / sum(one.weight for one in made) < 1.1
