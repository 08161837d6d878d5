"""Which listeners' queues are over."""

from ropewayd.abandoned import Watch


def test_a_queue_is_over_when_its_tag_stays_the_same_for_the_timeout() -> None:
    watch = Watch(300)
    assert watch.over({"a": "0", "b": "0"}, 1000) == []
    assert watch.over({"a": "1", "b": "0"}, 1299) == []
    assert watch.over({"a": "1", "b": "0"}, 1300) == ["b"]
    assert watch.over({"a": "1"}, 1598) == []
    assert watch.over({"a": "1"}, 1599) == ["a"]


def test_a_queue_that_comes_back_has_the_whole_timeout() -> None:
    watch = Watch(300)
    watch.over({"a": "0"}, 0)
    watch.over({}, 100)
    assert watch.over({"a": "0"}, 350) == []
