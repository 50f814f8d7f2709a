import threading

import pytest

from columnar.threads import map_ahead, read_ahead


def test_results_come_in_order():
    assert list(map_ahead(lambda number: number * 2, range(100))) == [number * 2 for number in range(100)]


def test_no_more_than_three_items_are_taken_before_the_first_result_is_used():
    taken = []

    def items():
        for number in range(10):
            taken.append(number)
            yield number

    results = map_ahead(lambda number: number, items())

    assert next(results) == 0
    assert len(taken) == 3


def test_two_items_are_worked_on_side_by_side():
    both = threading.Barrier(2, timeout=10)

    assert len(list(map_ahead(lambda _: both.wait(), range(2)))) == 2


def test_an_error_reaches_the_consumer_at_its_place():
    results = map_ahead(lambda number: 1 // (number - 1), range(3))

    assert next(results) == -1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_reading_ahead_keeps_the_order_and_an_errors_place():
    def items():
        yield 1
        yield 2
        raise ValueError("the third")

    read = read_ahead(items())

    assert [next(read), next(read)] == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(read)


def test_the_next_item_is_fetched_while_one_is_used():
    fetched = threading.Event()

    def items():
        yield 1
        fetched.set()
        yield 2

    read = read_ahead(items())

    assert next(read) == 1
    assert fetched.wait(timeout=10)


def test_no_more_than_three_items_are_held():
    taken = []
    third = threading.Event()

    def items():
        for number in range(10):
            taken.append(number)
            if number == 2:
                third.set()
            yield number

    read = read_ahead(items())

    assert next(read) == 0
    assert third.wait(timeout=10)
    read.close()
    assert len(taken) == 3
