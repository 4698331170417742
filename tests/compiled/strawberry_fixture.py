"""A schema of strawberry's with everything that is hard about it. It means nothing."""

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NewType

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from tests.compiled.behaviour import Refused, behave, behave_async, many


@strawberry.enum
class Colour(Enum):
    RED = "red"
    GREEN = "green"
    CLEAR = None


Weight = NewType("Weight", float)


def _weigh(value: Any) -> Any:
    if isinstance(value, float) and value > 50:
        raise ValueError("too heavy to be written down")
    return None if isinstance(value, float) and value > 40 else {"grams": value}


WEIGHT = strawberry.scalar(name="Weight", serialize=_weigh, parse_value=lambda value: value)


@strawberry.input
class Size:
    width: int
    height: int = 2


@strawberry.input
class Frame:
    colour: Colour
    colours: list[Colour] = strawberry.field(default_factory=lambda: [Colour.RED])
    note: str | None = None
    maybe: strawberry.Maybe[str | None]
    size: Size | None = None
    inner: "Frame | None" = strawberry.UNSET
    hung: datetime | None = None


class Odds(BasePermission):
    message = "only odd things may be seen"

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return zlib.crc32(source.seed.encode()) % 2 == 1


class Doubled(FieldExtension):
    def resolve(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        return [next_(source, info, **kwargs), info.field_name]


@strawberry.type
class Refusal:
    why: str


class RefusalHandler(strawberry.ExceptionHandler[Refused, Refusal]):
    def handle(self, exception: Refused, *, field: StrawberryField, info: strawberry.Info) -> Any:
        why = f"{exception} at {info.path.key} of {field.python_name}"
        match zlib.crc32(why.encode()) % 4:
            case 0:
                return None
            case 1:
                return _refusal_later(why)
            case _:
                return Refusal(why=why)


async def _refusal_later(why: str) -> Refusal:
    return Refusal(why=why)


@strawberry.interface
class Named:
    seed: strawberry.Private[str]

    @strawberry.field
    def name(self) -> str:
        return behave(f"{self.seed}/name", lambda: f"name of {self.seed}")

    @strawberry.field
    def twin(self) -> "Named | None":
        return behave(f"{self.seed}/twin", lambda: exhibit(f"{self.seed}t"))


@strawberry.type
class Painting(Named):
    title: str = "untitled"
    year: int | None = None

    @strawberry.field
    def colour(self) -> Colour | None:
        return behave(f"{self.seed}/colour", lambda: pick(self.seed, list(Colour)))

    @strawberry.field
    async def painted(self) -> datetime:
        return await behave_async(f"{self.seed}/painted", lambda: datetime(1503, 1, 1, tzinfo=UTC))

    @strawberry.field
    def room(self, info: strawberry.Info) -> "Room":
        return behave(f"{self.seed}/room/{info.path.key}", lambda: Room(seed=f"{self.seed}r"))


@strawberry.type
class Statue(Named):
    @strawberry.field
    def weight(self) -> Weight | None:
        return behave(
            f"{self.seed}/weight", lambda: Weight(zlib.crc32(self.seed.encode()) % 60 + 0.5)
        )

    @strawberry.field(permission_classes=[Odds])  # type: ignore[untyped-decorator]
    def price(self) -> Decimal | None:
        return behave(f"{self.seed}/price", lambda: Decimal("12.50"))

    @strawberry.field
    async def pieces(self, info: strawberry.Info) -> list["Statue"]:
        return await behave_async(
            f"{self.seed}/pieces", lambda: many(f"{self.seed}p", lambda seed: Statue(seed=seed))
        )


@strawberry.type
class Room:
    seed: strawberry.Private[str]
    number: int | None = 7
    open: bool = True

    @strawberry.field
    def id(self) -> strawberry.ID:
        return behave(f"{self.seed}/id", lambda: pick(self.seed, ["a", 12, 1.5]))

    @strawberry.field
    def area(self) -> float:
        return behave(f"{self.seed}/area", lambda: pick(self.seed, [1, 2.5, "3.5", float("inf")]))

    @strawberry.field
    def steps(self) -> list[int]:
        return behave(
            f"{self.seed}/steps",
            lambda: many(f"{self.seed}s", lambda seed: pick(seed, [1, "2", 2**40, 3.0])),
        )

    @strawberry.field
    def grid(self) -> list[list[str | None] | None]:
        return behave(
            f"{self.seed}/grid",
            lambda: many(f"{self.seed}g", lambda seed: many(seed, lambda cell: cell)),
        )

    @strawberry.field
    def exhibits(self) -> list["Exhibit"]:
        return behave(f"{self.seed}/exhibits", lambda: many(f"{self.seed}e", exhibit))

    @strawberry.field
    def perhaps(self) -> list[Named | None] | None:
        return behave(f"{self.seed}/perhaps", lambda: many(f"{self.seed}n", exhibit))

    @strawberry.field
    async def next(self) -> "Room":
        return await behave_async(f"{self.seed}/next", lambda: Room(seed=f"{self.seed}x"))

    @strawberry.field
    async def next_or_none(self) -> "Room | None":
        return await behave_async(f"{self.seed}/none", lambda: Room(seed=f"{self.seed}y"))

    @strawberry.field(extensions=[Doubled()])  # type: ignore[untyped-decorator]
    def labels(self, prefix: str = "no.") -> list[str]:
        return behave(f"{self.seed}/labels", lambda: prefix + self.seed)

    @strawberry.field
    def colours(self, of: list[Colour | None] | None = None) -> list[Colour | None]:
        return behave(f"{self.seed}/colours", lambda: of or [Colour.GREEN, Colour.CLEAR])

    @strawberry.field
    def echo(  # strawberry knows `root` as it knows `self`
        root: Any,  # noqa: N805
        frame: Frame,
        size: Size | None = None,
        words: list[str] | None = None,
        count: Annotated[int, strawberry.argument(name="howMany")] = 3,
        at: datetime | None = None,
    ) -> str:
        return behave(f"{root.seed}/echo", lambda: repr((frame, size, words, count, at)))

    @strawberry.field
    async def look(self, info: strawberry.Info, which: int, strict: bool = False) -> "Found":
        return await behave_async(
            f"{self.seed}/look/{which}/{strict}", lambda: exhibit(f"{info.field_name}{which}")
        )

    @strawberry.field
    def glance(self, which: strawberry.ID) -> "Found | None":
        return behave(f"{self.seed}/glance/{which}", lambda: exhibit(f"{self.seed}{which}"))


Exhibit = Annotated[Painting | Statue | Room, strawberry.union("Exhibit")]
Found = Annotated[Painting | Statue | Refusal, strawberry.union("Found")]


def pick(seed: str, choices: list[Any]) -> Any:
    return choices[zlib.crc32(f"pick {seed}".encode()) % len(choices)]


def exhibit(seed: str) -> Any:
    made = pick(seed, [Painting, Statue, Room, Painting, Statue, Refusal])
    if made is Refusal:
        return Refusal(why=seed)
    if made is Painting:
        return pick(seed, [Painting(seed=seed), Painting(seed=seed, title=None, year="1")])  # type: ignore[arg-type]
    if made is Room:
        return Room(seed=seed, number=2**33, open=pick(seed, [True, 0, "x", None]))
    return (
        strawberry.cast(Painting, Statue(seed=seed))
        if pick(f"c{seed}", [0, 0, 0, 1])
        else Statue(seed=seed)
    )


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def paint(self, seed: str, times: int = 1) -> Room:
        return await behave_async(f"{self.seed}/{seed}/{times}", lambda: Room(seed=seed))  # type: ignore[attr-defined]

    @strawberry.mutation
    def scrub(self, info: strawberry.Info) -> str | None:
        return behave(f"{self.seed}/scrub/{info.path.key}", lambda: "clean")  # type: ignore[attr-defined]


def build_strawberry_fixture(**options: Any) -> strawberry.Schema:
    return strawberry.Schema(
        query=Room,
        mutation=Mutation,
        types=[Painting, Statue],
        config=StrawberryConfig(scalar_map={Weight: WEIGHT}),
        exception_handlers=[RefusalHandler()],
        **options,
    )
