"""A histogram knows every percentile to within its resolution, and adding two is counting all."""

from hypothesis import given
from hypothesis import strategies as st

from bench.histogram import Histogram, bucket, middle

VALUES = st.lists(st.integers(0, 10**9), min_size=1, max_size=200)


@given(st.integers(0, 2**40))
def test_a_value_is_near_the_middle_of_its_bucket_and_buckets_keep_the_order(value: int) -> None:
    assert abs(middle(bucket(value)) - value) <= value / 64
    assert bucket(value) <= bucket(value + 1) <= bucket(value) + 1


@given(VALUES, st.sampled_from([1, 50, 90, 99, 99.9, 100]))
def test_a_percentile_is_that_of_the_values(values: list[int], percent: float) -> None:
    rank = -(-round(percent * 10) * len(values) // 1000)
    exact = sorted(values)[max(0, rank - 1)]
    assert abs(Histogram.of(values).percentile(percent) - exact) <= exact / 64


@given(VALUES, VALUES)
def test_two_merged_are_one_of_all(one: list[int], two: list[int]) -> None:
    merged = Histogram.of(one)
    merged.merge(Histogram.of(two))
    assert merged.latency() == Histogram.of(one + two).latency()
    assert Histogram({int(k): v for k, v in merged.counts.items()}).latency().count == len(one) + len(two)
