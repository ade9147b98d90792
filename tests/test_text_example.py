"""The example of a language model: its tokens, its counts, its decoder, its mixture."""

import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"


@pytest.fixture(scope="module")
def example():
    """The script as a module; it imports its parts from beside itself."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        import plot_text
    finally:
        sys.path.remove(str(EXAMPLES))
    return plot_text


@pytest.fixture(scope="module")
def slice_of_text(example):
    """A tokeniser learned on a small part of the text, its tokens and those held out."""
    train, heldout = example.read_topics(0.03)
    tokenizer = example.BytePairs.learn(train, 60)
    return tokenizer, tokenizer.encode(train), tokenizer.encode(heldout)


@pytest.fixture(scope="module")
def reader(example, slice_of_text):
    tokenizer, train, _ = slice_of_text
    vectors = example.embed(train, len(tokenizer.spellings), 8)
    mixture = example.mixture(4).set_params(max_iter=1, n_jobs=1, gate__max_iter=10)
    return example.Reader(mixture, vectors).fit(train)


# Text and tokens.


def test_topics_are_held_out_whole(example):
    train, heldout = example.read_topics()
    for text in example.read_topics.__globals__["topics"].values():
        assert (text in train) != (text in heldout)


@pytest.mark.parametrize(
    "text", ["", "aaaa aaa\n\n\n  aa", "print(x)\t# no\r\n", "näher – 日本\x00", " \u2003 e"]
)
def test_text_comes_back_as_it_was(slice_of_text, text):
    tokenizer = slice_of_text[0]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_merges_are_the_most_frequent_pairs(example):
    tokenizer = example.BytePairs.learn("abab\nabab abc", 2)
    assert tokenizer.merges == [(ord("a"), ord("b")), (256, 256)]
    assert tokenizer.encode("ababab").tolist() == [257, 256]
    assert example.BytePairs.learn("ab", 3).merges == [(ord("a"), ord("b"))]
    assert example.BytePairs.learn("", 1).merges == []


def test_no_token_spans_two_pieces(example):
    from text_parts.byte_pairs import merge

    begins = np.array([True, False, False, True, True, False])
    tokens, begins = merge(np.array([1, 2, 1, 2, 1, 2]), begins, (1, 2), 9)
    assert tokens.tolist() == [9, 1, 2, 9]
    assert begins.tolist() == [True, False, True, True]


def test_tokens_of_the_training_text_are_those_it_was_learned_on(example, slice_of_text):
    tokenizer, tokens, _ = slice_of_text
    counts = np.bincount(tokens, minlength=len(tokenizer.spellings))
    assert len(tokens) < 0.75 * len(example.read_topics(0.03)[0])
    assert counts[256:].any()


# Counts.


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_kneser_ney_sums_to_one(example, slice_of_text, order):
    tokenizer, train, heldout = slice_of_text
    model = example.KneserNey(order, len(tokenizer.spellings)).fit(train)
    contexts, following = example.windows(np.concatenate([train[:100], heldout[:100]]))
    proba = model.proba(contexts)
    assert proba.min() > 0
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-10)
    one_by_one = model.proba_of(contexts, following)
    np.testing.assert_array_equal(proba[np.arange(len(proba)), following], one_by_one)


def test_kneser_ney_by_hand(example):
    """In 0 1 0 0 1 0 2 the pairs are 01 and 10 twice, 00 and 02 once."""
    model = example.KneserNey(2, 3).fit(np.array([0, 1, 0, 0, 1, 0, 2]))
    # Token 0 comes after two tokens, 1 and 2 after one: a half is taken of each, and dealt evenly.
    lower = np.array([1.5, 0.5, 0.5]) / 4 + 1.5 / 4 / 3
    # Of pairs seen once a third is taken, of those seen twice 1.5.
    after_0 = np.array([2 / 3, 0.5, 2 / 3]) / 4 + (1 / 3 + 1.5 + 1 / 3) / 4 * lower
    np.testing.assert_allclose(model.proba(np.array([[0]]))[0], after_0)


def test_longer_counts_know_the_training_text_better(example, slice_of_text):
    tokenizer, train, _ = slice_of_text
    logs = [
        np.log(
            example.KneserNey(order, len(tokenizer.spellings))
            .fit(train)
            .proba_of(*example.windows(train))
        ).mean()
        for order in (1, 2, 3)
    ]
    assert logs == sorted(logs)


# Decoder.


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (0.0, [1, 0, 0]),
        (0.4, [1, 0, 0]),
        (0.5, [1, 0, 0]),
        (0.6, [5 / 8, 0, 3 / 8]),
        (1.0, [0.5, 0.2, 0.3]),
    ],
)
def test_nucleus_is_the_fewest_tokens_that_have_enough(example, top_p, expected):
    np.testing.assert_allclose(example.nucleus(np.array([0.5, 0.2, 0.3]), 1.0, top_p), expected)


def test_nucleus_of_shares_that_no_number_has(example):
    found = example.nucleus(np.array([0.5, 0.3, 0.15, 0.05]), 1.0, 0.8)
    np.testing.assert_allclose(found, [5 / 8, 3 / 8, 0, 0])
    np.testing.assert_array_equal(example.nucleus(np.array([0.4, 0.4, 0.2]), 0.0), [1, 0, 0])
    np.testing.assert_allclose(example.nucleus(np.array([0.5, 0.5, 0.0]), 3.0), [0.5, 0.5, 0])
    for top_p in (-1, 2, np.nan):
        with pytest.raises(ValueError, match=r"top_p=.* must be a share"):
            example.nucleus(np.array([0.5, 0.5]), 1.0, top_p)


def test_temperature_sharpens_and_flattens(example):
    proba = np.array([0.5, 0.2, 0.3])
    np.testing.assert_allclose(example.nucleus(proba, 0.5), proba**2 / (proba**2).sum())
    np.testing.assert_allclose(example.nucleus(proba, 1e6), 1 / 3, rtol=1e-5)
    np.testing.assert_array_equal(example.nucleus(proba, 0.0), [1, 0, 0])
    with pytest.raises(ValueError, match="temperature=-1 must be a number from zero on"):
        example.nucleus(proba, -1)


def test_text_is_as_long_as_asked_and_follows_the_seed(example, slice_of_text, reader):
    prompt = slice_of_text[0].encode("The ")
    written = [example.generate(reader, prompt, 30, random_state=seed) for seed in (0, 0, 1)]
    assert len(written[0]) == len(prompt) + 30
    np.testing.assert_array_equal(written[0][: len(prompt)], prompt)
    np.testing.assert_array_equal(written[0], written[1])
    assert (written[0] != written[2]).any()


def test_little_top_p_writes_the_most_probable(example, reader):
    written = example.generate(reader, np.array([ord("T")]), 5, top_p=1e-9, random_state=3)
    contexts, following = example.windows(np.concatenate([[10] * example.READS, written]))
    assert reader.proba(contexts)[1:].argmax(axis=1).tolist() == following[1:].tolist()


# Mixture.


def test_two_experts_write_each_token(example, slice_of_text, reader):
    heldout = slice_of_text[2]
    contexts, following = example.windows(heldout)
    np.testing.assert_allclose(reader.proba(contexts).sum(axis=1), 1.0, rtol=1e-6)
    assert (reader.proba_of(contexts, following) > 0).all()
    gate = example.acting(reader, heldout)
    assert gate.shape == (len(heldout), 4)
    assert ((gate > 0).sum(axis=1) <= example.TOP_K).all()
    np.testing.assert_allclose(gate.sum(axis=1), 1.0)
    assert reader.classifier.load_.sum() == pytest.approx(example.TOP_K)


def test_what_acts_is_a_part_of_the_weights(example, reader):
    experts = [example.n_weights(expert) for expert in reader.classifier.experts_]
    in_all, active = reader.sizes()
    gate = in_all - sum(experts)
    assert gate == 32 * (8 * example.READS + 1) + 4 * 33
    assert active - gate <= example.TOP_K * max(experts)
