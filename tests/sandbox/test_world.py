import threading
from pathlib import Path

import pytest

from sandbox.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "var" / "world.sqlite3")


def test_remembers_what_was_put(world: World) -> None:
    world.put("people", "a", {"name": "林若溪", "cards": [1, None]})

    assert world.get("people", "a") == {"name": "林若溪", "cards": [1, None]}
    assert world.get("people", "b") is None
    assert world.get("other", "a") is None


def test_lists_one_kind_in_the_order_of_first_putting(world: World) -> None:
    for key in ("b", "a", "c"):
        world.put("people", key, {"key": key})
    world.put("other", "x", {})
    world.put("people", "b", {"key": "b", "changed": True})

    assert [thing["key"] for thing in world.all("people")] == ["b", "a", "c"]
    assert world.all("people")[0] == {"key": "b", "changed": True}


def test_adds_only_what_is_new(world: World) -> None:
    assert world.add("people", "a", {"n": 1})
    assert not world.add("people", "a", {"n": 2})
    assert world.get("people", "a") == {"n": 1}


def test_takes_a_thing_once(world: World) -> None:
    world.put("codes", "a", {"n": 1})

    assert world.take("codes", "a") == {"n": 1}
    assert world.take("codes", "a") is None


def test_deletes_and_clears(world: World) -> None:
    for key in ("a", "b", "c"):
        world.put("things", key, {})

    world.delete("things", "a")
    world.delete("things", "none")
    assert len(world.all("things")) == 2

    world.clear()
    assert world.all("things") == []


def test_is_the_same_for_all_who_open_the_file_and_after_closing(tmp_path: Path) -> None:
    first, second = World(tmp_path / "world"), World(tmp_path / "world")
    first.put("things", "a", {"n": 1})

    assert second.take("things", "a") == {"n": 1}
    assert first.get("things", "a") is None

    second.put("things", "b", {"n": 2})
    first.close()
    second.close()
    assert World(tmp_path / "world").get("things", "b") == {"n": 2}


def test_of_many_takers_in_many_threads_one_succeeds(tmp_path: Path) -> None:
    worlds = [World(tmp_path / "world") for _ in range(2)]
    for number in range(50):
        worlds[0].put("codes", str(number), {"n": number})
    taken: list[int] = []

    def take_all(world: World) -> None:
        found = (world.take("codes", str(number)) for number in range(50))
        taken.extend(thing["n"] for thing in found if thing)

    threads = [threading.Thread(target=take_all, args=(worlds[n % 2],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == list(range(50))
