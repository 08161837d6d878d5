from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ropewayd.store.checksum import checksum, row_checksum

KEYS = st.binary(max_size=256) | st.integers(0, 2**63 - 1)


@given(KEYS, st.integers(0, 2**63 - 1), st.binary(max_size=300), st.data())
def test_every_single_flip_shows(key: bytes | int, lsn: int, value: bytes, data: st.DataObject) -> None:
    right = checksum(7, 3, key, lsn, value)
    assert checksum(8, 3, key, lsn, value) != right
    assert checksum(7, 4, key, lsn, value) != right
    assert checksum(7, 3, key, lsn ^ 1 << data.draw(st.integers(0, 62)), value) != right
    assert checksum(7, 3, key, lsn, value + b"\0") != right
    if value:
        bad = bytearray(value)
        bad[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        assert checksum(7, 3, key, lsn, bytes(bad)) != right
    other = key ^ 1 if isinstance(key, int) else key + b"\0"
    assert checksum(7, 3, other, lsn, value) != right


def test_where_the_key_ends_counts() -> None:
    assert checksum(1, 1, b"ab", 1, b"c") != checksum(1, 1, b"a", 1, b"bc")


@given(st.integers(1, 2**63 - 1), st.binary(max_size=300))
def test_a_journal_row_is_the_row_of_space_0(lsn: int, batch: bytes) -> None:
    assert row_checksum(5, lsn, batch) == checksum(5, 0, lsn, lsn, batch)


def test_it_stays_what_it_is_on_disk() -> None:
    assert checksum(0, 1, b"key", 2, b"value") == 0xA163715C
    assert checksum(0x1234, 10, 77, 2, b"value") == 0x85360AFB
    assert row_checksum(0x1234, 9, b"batch") == 0x5694E343
