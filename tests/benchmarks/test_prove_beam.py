"""What is read out of Flink's account of a job; that jobs run is for `make prove-beam`."""

import pytest

from benchmarks.distributed import flink_jobs, prove_beam


def vertex(name, sent):
    return {"id": name, "name": name, "metrics": {"write-bytes": sent}}


def test_what_is_sent_by_key_counts_by_the_step_that_groups_it():
    read = "CHAIN MapPartition (MapPartition at [19]{TFXIORead[train]}) -> GroupCombine"
    train = "GroupReduce (GroupReduce at Statistics[train]/CombinePerKey(sum)/Group)"
    chained = "CHAIN GroupReduce (GroupReduce at Statistics[eval]/CombinePerKey(sum)/Group) -> Map (Key Extractor)"
    ends_in_a_function = "CHAIN GroupReduce (GroupReduce at Merge[3]/CombinePerKey(Count)) -> Map (Key Extractor)"
    inputs = {
        train: [{"id": read, "ship_strategy": "Hash Partition on [0]"}],
        chained: [{"id": train, "ship_strategy": "Hash Partition on [0]"}],
        ends_in_a_function: [
            {"id": chained, "ship_strategy": "Hash Partition on [0]"},
            {"id": read, "ship_strategy": "Forward"},
            {"id": read, "ship_strategy": "Broadcast"},
        ],
        read: [],
    }
    job = {
        "vertices": [vertex(read, 700), vertex(train, 50), vertex(chained, 9), vertex(ends_in_a_function, 1)],
        "plan": {"nodes": [{"id": name, "inputs": sources} for name, sources in inputs.items()]},
    }

    assert flink_jobs.shuffled(job) == {"Statistics/CombinePerKey(sum)/Group": 750, "Merge/CombinePerKey(Count)": 9}


@pytest.mark.parametrize(
    ("part", "size"),
    [("small_local", "small"), ("large_flink", "large"), ("local", "all"), ("loss_Transform", "all")],
)
def test_a_parts_span(part, size):
    assert part in prove_beam.PARTS
    assert prove_beam.size_of(part) == size
