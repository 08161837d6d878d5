"""The pace at which what is on disk is read again: a round in the time that is set, in virtual time."""

from ropewayd.kernel.settings import KernelSettings
from ropewayd.store.protocol import Claim, Corrupt, Figures
from tests.house import House, settle

DAY = 86_400_000
MIB = 1 << 20


async def test_a_round_takes_the_time_that_is_set() -> None:
    house = House(KernelSettings(scrub_round=DAY))
    read: list[int] = []

    async def scrub(claim: Claim, max_bytes: int) -> int:
        read.append(house.clock.now())
        return max_bytes

    async def figures() -> Figures:
        return Figures(0, 0, 0, 1 << 40, used_bytes=8 * MIB)

    await house.start()
    house.store.scrub, house.store.figures = scrub, figures  # type: ignore[method-assign]
    began = house.clock.now()
    while house.clock.now() < began + 2 * DAY:
        await house.wait(600_000)
        await settle()
    # 32 pieces of 256 KiB are 8 MiB; a wait of ten minutes is what a piece can be late by.
    assert 2 * 24 <= len(read) <= 2 * 33


async def test_none_is_read_where_none_is_wanted() -> None:
    house = House(KernelSettings(scrub_round=0))
    await house.start()

    async def scrub(claim: Claim, max_bytes: int) -> int:
        raise AssertionError

    house.store.scrub = scrub  # type: ignore[method-assign]
    await house.wait(40 * DAY)
    await settle()
    assert house.kernel.failed is not None
    assert not house.kernel.failed.done()


async def test_damage_ends_the_kernel() -> None:
    house = House(KernelSettings(scrub_round=DAY))
    await house.start()

    async def scrub(claim: Claim, max_bytes: int) -> int:
        raise Corrupt("planned")

    house.store.scrub = scrub  # type: ignore[method-assign]
    await house.wait(DAY)
    await settle()
    assert house.kernel.failed is not None
    assert str(house.kernel.failed.result()) == "planned"
