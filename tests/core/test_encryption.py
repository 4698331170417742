"""Column encryption: which keys, columns and owners decrypt a value."""

import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from core.crypto import CannotOpen, KeyRing, Sealed, Seals, Suite, Vault

OLD, NEW = b"o" * 32, b"n" * 32

suites = pytest.mark.parametrize("suite", list(Suite))


def vault(suite: Suite = Suite.INTERNATIONAL, **keys: bytes) -> Vault:
    ring = KeyRing(keys or {"old": OLD})
    return Vault(suite, ring, ring)


@suites
@given(value=st.text(st.characters(exclude_categories=["Cs"])), owner=st.integers(0, 2**63 - 1))
def test_opens_what_it_sealed(suite: Suite, value: str, owner: int) -> None:
    keys = vault(suite)

    sealed = keys.seal(value, "citizens.name", owner)

    assert keys.open(sealed, "citizens.name", owner) == value


@suites
@given(data=st.binary(max_size=4096))
def test_opens_sealed_bytes(suite: Suite, data: bytes) -> None:
    keys = vault(suite)

    assert keys.open_bytes(keys.seal(data, "pictures", 7), "pictures", 7) == data


@suites
@given(data=st.data())
def test_an_altered_value_does_not_open(suite: Suite, data: st.DataObject) -> None:
    keys = vault(suite)
    sealed = keys.seal("林若溪", "citizens.name", 7)
    at = data.draw(st.integers(0, len(sealed) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    altered = sealed[:at] + bytes([sealed[at] ^ bit]) + sealed[at + 1 :]

    with pytest.raises(CannotOpen):
        keys.open(altered, "citizens.name", 7)


@suites
@given(length=st.integers(0, 40))
def test_a_value_cut_short_does_not_open(suite: Suite, length: int) -> None:
    keys = vault(suite)
    sealed = keys.seal("林若溪", "citizens.name", 7)

    with pytest.raises(CannotOpen):
        keys.open(sealed[: min(length, len(sealed) - 1)], "citizens.name", 7)


@suites
@pytest.mark.parametrize(("column", "owner"), [("citizens.name", 8), ("citizens.phone", 7)])
def test_a_moved_value_does_not_open(suite: Suite, column: str, owner: int) -> None:
    keys = vault(suite)
    sealed = keys.seal("林若溪", "citizens.name", 7)

    with pytest.raises(CannotOpen):
        keys.open(sealed, column, owner)


@suites
def test_an_old_key_still_opens_and_the_new_one_seals(suite: Suite) -> None:
    before, after = vault(suite, old=OLD), vault(suite, new=NEW, old=OLD)
    sealed_before = before.seal("林若溪", "citizens.name", 7)

    sealed_after = after.seal("林若溪", "citizens.name", 7)

    assert after.open(sealed_before, "citizens.name", 7) == "林若溪"
    assert after.open(sealed_after, "citizens.name", 7) == "林若溪"
    with pytest.raises(CannotOpen):
        before.open(sealed_after, "citizens.name", 7)


def test_a_value_does_not_open_under_another_key_of_the_same_name() -> None:
    sealed = vault(old=OLD).seal("林若溪", "citizens.name", 7)

    with pytest.raises(CannotOpen):
        vault(old=NEW).open(sealed, "citizens.name", 7)


def test_suites_do_not_open_each_other() -> None:
    sealed = vault(Suite.CHINESE).seal("林若溪", "citizens.name", 7)

    with pytest.raises(CannotOpen):
        vault(Suite.INTERNATIONAL).open(sealed, "citizens.name", 7)


@suites
def test_equal_values_are_sealed_differently(suite: Suite) -> None:
    keys = vault(suite)

    sealed = {keys.seal("林若溪", "citizens.name", 7) for _ in range(100)}

    assert len(sealed) == 100


@suites
def test_an_index_is_the_same_each_time_and_keyed(suite: Suite) -> None:
    mine, other = vault(suite, old=OLD), vault(suite, old=NEW)

    assert mine.index("19900001001", "phone") == vault(suite, old=OLD).index("19900001001", "phone")
    assert mine.index("19900001001", "phone") != other.index("19900001001", "phone")


@suites
@given(kinds=st.lists(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=2, unique=True))
def test_indexes_of_one_value_differ_by_kind(suite: Suite, kinds: list[str]) -> None:
    keys = vault(suite)

    assert keys.index("19900001001", kinds[0]) != keys.index("19900001001", kinds[1])


@suites
def test_after_a_rotation_a_value_is_found_under_both_keys(suite: Suite) -> None:
    before, after = vault(suite, old=OLD), vault(suite, new=NEW, old=OLD)

    found = after.indexes("19900001001", "phone")

    assert found == [
        after.index("19900001001", "phone"),
        before.index("19900001001", "phone"),
    ]


def test_nothing_shows_in_a_representation() -> None:
    keys = vault()
    sealed = Sealed(keys, keys.seal("林若溪", "citizens.name", 7), "citizens.name", 7)

    shown = repr((keys, sealed, KeyRing({"old": OLD})))

    assert "林若溪" not in shown
    assert "oooo" not in shown


def test_sm4_gcm_agrees_with_rfc_8998() -> None:
    """Appendix A.1 of RFC 8998."""
    key = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
    nonce = bytes.fromhex("00001234567800000000ABCD")
    associated = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    plain = bytes.fromhex(
        "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD"
        "EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA"
    )
    encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(associated)

    cipher = encryptor.update(plain) + encryptor.finalize()

    assert cipher.hex().upper() == (
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
        "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
    )
    assert encryptor.tag.hex().upper() == "83DE3541E4C2B58177E065A9BF7B62EC"


def test_the_chinese_suite_is_sm4_gcm_with_the_first_half_of_the_key() -> None:
    """Decrypts with the primitives alone, which documents the format for other implementations."""
    key = os.urandom(32)
    keys = Vault(Suite.CHINESE, KeyRing({"k": key}), KeyRing({"k": key}))

    sealed = keys.seal("林若溪", "citizens.name", 7)

    prefix, nonce, body, tag = sealed[:2], sealed[2:14], sealed[14:-16], sealed[-16:]
    decryptor = Cipher(algorithms.SM4(key[:16]), modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(b"citizens.name:7")
    assert prefix == b"\x01k"
    assert (decryptor.update(body) + decryptor.finalize()).decode() == "林若溪"


def test_a_passwords_hash_opens_for_its_owner_alone() -> None:
    seals = Seals(KeyRing({"old": OLD}), KeyRing({"old": OLD}))

    stored = seals.hash(7, "$argon2id$...")

    assert seals.open_hash(7, stored) == "$argon2id$..."
    with pytest.raises(CannotOpen):
        seals.open_hash(8, stored)


def test_a_mac_is_of_one_kind() -> None:
    """Of codes, links and the audit log, under one key."""
    seals = Seals(KeyRing({"old": OLD}), KeyRing({"old": OLD}))

    assert seals.matches_code(seals.code("a", 1), "a", 1)
    assert not seals.matches_code(seals.audit("a", 1), "a", 1)
    assert seals.matches_link(seals.link("a", 1), "a", 1)
    assert not seals.matches_link(seals.code("a", 1)[-32:][:16].hex(), "a", 1)
