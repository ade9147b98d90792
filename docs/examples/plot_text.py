"""
A language model whose experts share the words
===============================================

Sixteen small networks learn to continue a text, token by token, and a gate of two layers lets only
two of them act on each: the two that it finds most probable, or one of these and one that acts
always. The text is Python's own manual, which ships with Python. The tokens are learned from it,
and so are their vectors. Beside the mixtures stand one such network, one with as many weights as
all experts together, and smoothed counts of what followed what, which are hard to beat on a text so
small that repeats itself so often.

Run `python docs/examples/plot_text.py PICTURE.png` to see it on a part of the text in seconds, and
`python docs/examples/plot_text.py PICTURE.png 1` for the whole text: some minutes, 6 GB.
"""

import sys
import textwrap
import warnings
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from text_parts.byte_pairs import BytePairs, Floats, Tokens, embed, read_topics
from text_parts.kneser_ney import KneserNey

from sklearn_moe import MixtureOfExpertsClassifier
from sklearn_moe.gates import MLPGate

N_EXPERTS, TOP_K, HIDDEN = 16, 2, 64
# So many tokens beside the 256 bytes; the width of their vectors; how many of them a model reads.
N_MERGES, WIDTH, READS = 256, 64, 4
PART = 0.03
# What sums of shares leave of nothing.
ROUNDING = 1e-12
PROMPT = 'The "with" statement is used to'


# %%
# The models
# ----------
# All answer one question: given the last tokens, how probable is each token as the next?
def windows(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """Contexts (n, READS) and the tokens (n,) that follow them."""
    rows = sliding_window_view(tokens, READS + 1)
    return rows[:, :-1], rows[:, -1]


@dataclass
class Reader:
    """A classifier of the next token, which reads the vectors of the last ones.

    A thousandth of its probability goes to all tokens evenly: none is impossible.
    """

    classifier: Any
    vectors: Floats

    def fit(self, tokens: Tokens) -> "Reader":
        """Learn to continue; the networks are stopped early, which they warn of."""
        contexts, following = windows(tokens)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.classifier.fit(self.features(contexts), following)
        return self

    def features(self, contexts: Tokens) -> Floats:
        """The vectors of the tokens of each context, side by side."""
        return self.vectors[contexts].reshape(len(contexts), -1)

    def proba(self, contexts: Tokens) -> Floats:
        """Probabilities (n, n_tokens) of the next token."""
        n_tokens = len(self.vectors)
        proba = np.full((len(contexts), n_tokens), 0.001 / n_tokens)
        said = self.classifier.predict_proba(self.features(contexts))
        proba[:, self.classifier.classes_] += 0.999 * said
        return proba

    def proba_of(self, contexts: Tokens, following: Tokens) -> Floats:
        """Probability (n,) of the token that does follow."""
        return self.proba(contexts)[np.arange(len(following)), following]

    def sizes(self) -> tuple[int, int]:
        """Weights in all, and those that act on a token; the vectors, which all read, apart."""
        model = self.classifier
        if not hasattr(model, "gate_"):
            return (n_weights(model),) * 2
        experts = [n_weights(expert) for expert in model.experts_]
        gate = n_weights(model.gate_)
        return sum(experts) + gate, round(float(model.load_ @ experts)) + gate


def n_weights(model: Any) -> int:
    """Number of coefficients and intercepts of a network or a gate."""
    kinds = ("coefs_", "intercepts_", "hidden_coef_", "hidden_intercept_", "coef_", "intercept_")
    held = [getattr(model, kind) for kind in kinds if hasattr(model, kind)]
    return sum(part.size for layer in held for part in (layer if type(layer) is list else [layer]))


def network(hidden: int, passes: int = 7, step: float = 0.004) -> MLPClassifier:
    """A network of one hidden layer, which sees each row a few times."""
    return MLPClassifier(
        hidden, alpha=1e-5, learning_rate_init=step, max_iter=passes, random_state=0
    )


def mixture(n_experts: int = N_EXPERTS, **changes: Any) -> MixtureOfExpertsClassifier:
    """Small networks of which two act on a token; the gate is a network too.

    Each expert is judged on the half of its rows that it has not seen (`cv=2`).
    """
    return MixtureOfExpertsClassifier(
        network(HIDDEN),
        n_experts,
        gate=MLPGate(hidden_units=32, max_iter=30),
        top_k=TOP_K,
        cv=2,
        init="kmeans_x",
        n_init=1,
        max_iter=2,
        verdict=False,
        n_jobs=2,
        random_state=0,
    ).set_params(**changes)


# %%
# The comparison
# --------------
def fit_all(tokens: Tokens, vectors: Floats) -> tuple[dict[str, Any], dict[str, float]]:
    """The models by name, and the seconds that each took."""
    shared = mixture(top_k=TOP_K - 1, shared_expert=network(HIDDEN), max_iter=1)
    # So wide a network learns most by heart if it is given the steps and passes of a small one.
    wide = network(HIDDEN * N_EXPERTS, passes=4, step=0.001)
    models: dict[str, Any] = {
        f"mixture, {TOP_K} of {N_EXPERTS} experts": Reader(mixture(), vectors),
        f"mixture, {TOP_K - 1} of {N_EXPERTS}, and one for all": Reader(shared, vectors),
        "one expert": Reader(network(HIDDEN), vectors),
        "one network as large as all experts": Reader(wide, vectors),
        "Kneser-Ney counts of 3 tokens": KneserNey(3, len(vectors)),
        "Kneser-Ney counts of 5 tokens": KneserNey(READS + 1, len(vectors)),
    }
    seconds = {}
    for name, model in models.items():
        start = perf_counter()
        model.fit(tokens)
        seconds[name] = perf_counter() - start
    return models, seconds


def judge(model: Any, tokens: Tokens, n_characters: int) -> dict[str, float]:
    """How well a model foretells a text, and at what cost."""
    contexts, following = windows(tokens)
    start = perf_counter()
    surprise = -np.log2(model.proba_of(contexts, following))
    between = perf_counter()
    for row in range(20):
        model.proba(contexts[row : row + 1])
    end = perf_counter()
    in_all, active = model.sizes()
    return {
        "perplexity": 2 ** float(surprise.mean()),
        "bits": float(surprise.sum()) / n_characters,
        "in_all": in_all,
        "active": active,
        "together": 1e6 * (between - start) / len(following),
        "alone": 1e3 * (end - between) / 20,
    }


def print_table(told: dict[str, dict[str, float]], seconds: dict[str, float]) -> None:
    """Held-out figures of all models, and who is best."""
    print(f"{'':36}  bits/char  perplexity    numbers   active  fit s  µs/token  alone, ms")
    for name, row in told.items():
        print(
            f"{name:36}{row['bits']:11.3f}{row['perplexity']:12.1f}{row['in_all']:11,}"
            f"{row['active']:9,}{seconds[name]:7.1f}{row['together']:10.0f}{row['alone']:11.1f}"
        )
    *mixtures, (_, single), (_, wide) = list(told.items())[:4]
    for name, row in mixtures:
        print(
            f"{name}: {row['bits'] - single['bits']:+.3f} bits per character from one expert, "
            f"{row['bits'] - wide['bits']:+.3f} from the large network, "
            f"with {row['active'] / wide['active']:.0%} of its weights at work"
        )
    print(f"best: {min(told, key=lambda name: told[name]['bits'])}")


# %%
# The decoder
# -----------
def nucleus(proba: Floats, temperature: float = 1.0, top_p: float = 1.0) -> Floats:
    """Probabilities at a temperature, of the fewest tokens that together have `top_p`.

    At temperature zero the likeliest token has all.
    """
    if not 0 <= temperature < np.inf:
        raise ValueError(f"temperature={temperature} must be a number from zero on.")
    if not 0 <= top_p <= 1:
        raise ValueError(f"top_p={top_p} must be a share, from zero to one.")
    order = np.argsort(-proba, kind="stable")
    if temperature == 0:
        return (np.arange(len(proba)) == order[0]).astype(float)
    heated = (proba / proba[order[0]]) ** (1 / temperature)
    heated /= heated.sum()
    reached = np.cumsum(heated[order])[:-1]
    heated[order[1:][reached >= top_p - ROUNDING]] = 0.0  # the first is always kept
    return heated / heated.sum()


def generate(
    model: Any,
    prompt: Tokens,
    n_tokens: int,
    temperature: float = 0.7,
    top_p: float = 0.9,
    random_state: int = 0,
) -> Tokens:
    """The prompt and `n_tokens` more, each drawn given the last ones."""
    rng, blank = np.random.default_rng(random_state), np.full(READS, ord("\n"))
    tokens = [*blank, *prompt]
    for _ in range(n_tokens):
        proba = model.proba(np.array([tokens[-READS:]]))[0]
        tokens.append(int(rng.choice(len(proba), p=nucleus(proba, temperature, top_p))))
    return np.array(tokens[READS:])


def acting(reader: Reader, tokens: Tokens) -> Floats:
    """Gate probabilities (n, n_experts) of the experts that wrote, or would write, each token."""
    padded = np.concatenate([np.full(READS, ord("\n")), tokens])
    return reader.classifier.gate_proba(reader.features(windows(padded)[0]))


def print_writers(tokenizer: BytePairs, tokens: Tokens, gate: Floats) -> None:
    """Each token, and the two experts that wrote it with what the gate gave them."""
    for token, given in zip(tokens, gate, strict=True):
        first, second = np.argsort(-given)[:2]
        spelled = repr(tokenizer.decode([token]))
        print(f"  {spelled:14} {first:2} ({given[first]:.2f}), {second:2} ({given[second]:.2f})")


# %%
# The picture
# -----------
# Left, texts coloured by the expert that leads at each token. Right, how often each expert acts,
# and what it is for: tokens it is given and tokens it writes, far oftener than the text has them.
COLUMNS, LINES, ROOM = 62, 17, 34


def speciality(weights: Floats, tokens: Tokens, n_tokens: int, count: int = 5) -> list[Tokens]:
    """For each expert the tokens that tell its rows most from the others: share times log lift."""
    often = np.bincount(tokens, minlength=n_tokens) / len(tokens)
    found = []
    for weight in weights.T:
        share = np.bincount(tokens, weight, minlength=n_tokens) / weight.sum()
        lift = np.divide(share, often, out=np.ones(n_tokens), where=share > 0)
        found.append(np.argsort(-share * np.log(lift), kind="stable")[:count])
    return found


def visible(text: str) -> str:
    """A token with its spaces and ends of lines made visible; long ones cut."""
    shown = text.replace("\n", "↵").replace(" ", "·")
    shown = "".join(c if c.isprintable() and c != "\ufffd" else "?" for c in shown)
    return shown if len(shown) <= 8 else f"{shown[:7]}…"


def fitting(words: list[str]) -> str:
    """As many of the words as a column beside the bars has room for."""
    return textwrap.wrap("  ".join(words), ROOM, break_on_hyphens=False)[0]


def place(texts: list[str]) -> list[tuple[int, int, str]]:
    """Line, column and text of each token; a new line after ↵ and where the line is full."""
    line, column, placed = 0, 0, []
    for text in texts:
        ends, indent = text.count("\n"), len(text) - text.rfind("\n") - 1
        shown = "↵" if ends else text.replace("\ufffd", "?")
        if column + len(shown) > COLUMNS:
            line, column = line + 1, 0
        placed.append((line, column, shown))
        line, column = (line + min(ends, 2), indent) if ends else (line, column + len(shown))
    return placed


def draw_text(axes: Any, title: str, texts: list[str], leaders: Tokens, colors: Floats) -> None:
    """Tokens in a grid of letters, each on the colour of its expert."""
    inches = axes.get_position().width * axes.figure.get_size_inches()[0]
    size = 72 * inches / COLUMNS / 0.602  # a letter of this typeface is so much wider than high
    for (line, column, text), leader in zip(place(texts), leaders, strict=True):
        if line < LINES:
            axes.add_patch(plt.Rectangle((column, line), len(text), 0.92, color=colors[leader]))
            style = {"family": "DejaVu Sans Mono", "size": size, "va": "center"}
            axes.text(column, line + 0.45, text, parse_math=False, **style)
    axes.set(xlim=(0, COLUMNS), ylim=(LINES, 0), xticks=[], yticks=[])
    axes.set_title(title, loc="left", size=10)
    axes.spines[:].set_visible(False)


def draw_experts(axes: Any, load: Floats, labels: list[list[str]], colors: Floats) -> None:
    """A bar for each expert, the busiest on top, and in columns what it is for."""
    order = np.argsort(load)
    axes.barh(range(len(load)), load[order], color=colors[order], height=0.9)
    axes.set_yticks(range(len(load)), [str(expert) for expert in order])
    axes.set(xlim=(0, 1.25 * load.max()), ylim=(-0.6, len(load) - 0.3), xlabel="acts on this share")
    axes.set_title("expert", loc="left", size=10)
    style = {"family": "DejaVu Sans Mono", "size": 7.5, "transform": axes.get_yaxis_transform()}
    for start, title, column in ((1.05, "after", labels[0]), (2.6, "it writes", labels[1])):
        axes.text(start, len(load) - 0.15, title, size=10, transform=axes.get_yaxis_transform())
        for place, expert in enumerate(order):
            axes.text(start, place, column[expert], va="center", parse_math=False, **style)
    axes.spines[["top", "right"]].set_visible(False)


def draw(
    reader: Reader, tokenizer: BytePairs, train: Tokens, heldout: Tokens, written: Tokens
) -> None:
    """The picture."""
    gate, n_tokens = acting(reader, train), len(reader.vectors)
    spell = [visible(tokenizer.decode([token])) for token in range(n_tokens)]
    labels = [
        [fitting([spell[token] for token in found]) for found in speciality(*rows, n_tokens)]
        for rows in ((gate[1:], train[:-1]), (gate, train))
    ]
    colors = plt.colormaps["tab20"](np.arange(gate.shape[1]) % 20)
    colors[:, :3] = 0.4 + 0.6 * colors[:, :3]
    figure = plt.figure(figsize=(13, 7.2))
    for bottom, title, tokens in (
        (0.51, "what the mixture writes", written),
        (0.02, "a text that it has not seen", heldout[: len(written)]),
    ):
        texts = [tokenizer.decode([token]) for token in tokens]
        axes = figure.add_axes((0.015, bottom, 0.5, 0.45))
        draw_text(axes, title, texts, acting(reader, tokens).argmax(axis=1), colors)
    axes = figure.add_axes((0.545, 0.065, 0.11, 0.9))
    draw_experts(axes, reader.classifier.load_, labels, colors)


# %%
# All of it
# ---------
def main(picture: str | None = None, share: float = PART) -> dict[str, dict[str, float]]:
    """Learn, compare, write and draw, on a share of the text; the held-out figures by model."""
    train_text, heldout_text = read_topics(share)
    tokenizer = BytePairs.learn(train_text, N_MERGES)
    train, heldout = tokenizer.encode(train_text), tokenizer.encode(heldout_text)
    print(f"{len(train_text):,} characters make {len(train):,} tokens, {len(heldout):,} held out")
    vectors = embed(train, len(tokenizer.spellings), WIDTH)
    models, seconds = fit_all(train, vectors)
    n_characters = len(tokenizer.decode(heldout[READS:]))
    told = {name: judge(model, heldout, n_characters) for name, model in models.items()}
    print_table(told, seconds)
    reader = next(iter(models.values()))
    start = perf_counter()
    written = generate(reader, tokenizer.encode(PROMPT), 300)
    print(f"\n{(perf_counter() - start) / 300:.4f} s per token:\n{tokenizer.decode(written)}\n")
    print_writers(tokenizer, written[:40], acting(reader, written[:40]))
    draw(reader, tokenizer, train, heldout, written)
    if picture:
        plt.savefig(picture, dpi=100)
        # Letters need few colors; with all shades the file is three times as large.
        Image.open(picture).convert("RGB").quantize(96).save(picture, optimize=True)
    else:
        plt.show()
    return told


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(float, sys.argv[2:3]))
