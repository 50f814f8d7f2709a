"""The values of a row, split alike in Arrow and in TensorFlow."""

import pyarrow as pa
import tensorflow as tf

from models import bags

LISTS = ["a|b", " b | | c d ", "", None, "|", "a|a"]


def test_delimited_values_are_split_without_blanks_and_empty_ones():
    in_arrow = bags.items(pa.array(LISTS), "|")
    in_tensorflow = bags.item_tensors(tf.constant([text or "" for text in LISTS]), "|")

    assert in_arrow.counts.tolist() == [2, 2, 0, 0, 0, 2]
    assert in_arrow.values.to_pylist() == ["a", "b", "b", "c d", "a", "a"]
    assert in_tensorflow.rows.numpy().tolist() == [0, 0, 1, 1, 5, 5]
    assert [value.decode() for value in in_tensorflow.values.numpy()] == in_arrow.values.to_pylist()


def test_words_are_letters_and_digits_of_any_script_in_lower_case():
    of = bags.words(pa.array(["Größe: XL, 2-fach!", "東京 タワー", "...", None]))

    assert of.counts.tolist() == [4, 2, 0, 0]
    assert of.values.to_pylist() == ["größe", "xl", "2", "fach", "東京", "タワー"]


def test_a_text_is_in_the_buckets_of_its_words_and_of_each_two_in_a_row():
    of = bags.ngram_buckets(tf.constant(["Not good", "good", ""]), 1 << 20)

    expected = tf.strings.to_hash_bucket_fast(["not", "good", "not good", "good"], 1 << 20).numpy().tolist()
    assert of.rows.numpy().tolist() == [0, 0, 0, 1]
    assert sorted(of.values.numpy()[:3].tolist()) == sorted(expected[:3])
    assert of.values.numpy()[3] == expected[3]


def test_a_bucket_counts_once_a_text():
    frequencies = bags.document_frequencies(pa.array(["a a a", "a b", None]), 512)

    a, b, aa, ab = tf.strings.to_hash_bucket_fast(["a", "b", "a a", "a b"], 512).numpy().tolist()
    assert [frequencies[bucket] for bucket in (a, b, aa, ab)] == [2, 1, 1, 1]
    assert frequencies.sum() == 5


def test_weights_of_one_place_add_up():
    of = bags.Tensors(tf.constant([0, 2, 2], tf.int64), None, tf.constant(3, tf.int64))

    spread = bags.spread(of, tf.constant([1, 0, 0], tf.int64), tf.constant([0.5, 1.0, 2.0]), 2)

    assert spread.numpy().tolist() == [[0, 0.5], [0, 0], [3, 0]]
