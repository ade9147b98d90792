"""The Markdown report of the command `tabular`: losses first, then tables, then every cell.

A difference of two models is taken table by table. Where a table has several splits, its standard
error is corrected for the rows that the training parts share (Nadeau and Bengio 2003); over tables,
Wilcoxon's signed ranks tell whether one model is ahead, and the critical difference of average
ranks is Nemenyi's (Demšar 2006).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import studentized_range, wilcoxon
from scipy.stats import t as student_t

from benchmarks import tabular_figures, tabular_uci
from benchmarks.markdown import markdown
from benchmarks.records import whole_rows
from benchmarks.tabular_models import OURS
from benchmarks.tabular_suites import SYNTHETIC

TABLE = ["suite", "table", "max_train"]
SPLIT = [*TABLE, "split"]
SLACK = 1.01
BOOSTINGS = (
    *("boosting", "2 boostings", "20 boostings", "200 boostings", "boosting tuned"),
    *("catboost", "stacking"),
)
STRONG = (*BOOSTINGS, "lightgbm", "xgboost", "ngboost", "forest", "cubist tuned", "linear tuned")
# Each mixture with what it is made of, alone and averaged, and with strong rivals.
COMPARED_TO = {
    "moe auto": STRONG,
    "moe auto alone": (*STRONG, "moe auto"),
    "moe boosting": BOOSTINGS,
    "moe tree": ("tree", "4 trees", "forest"),
    "moe linear": ("linear",),
    "moe boosting gate": BOOSTINGS,
    "moe tree gate": ("tree", "4 trees", "forest"),
    "moe linear gate": ("linear", "moe linear"),
    "moe linear auto": ("linear", "moe linear"),
    "moe linear net": ("linear",),
    "moe found penalty": ("linear", "linear tuned", "moe linear gate", "catboost"),
    "moe boosting net": ("boosting", "2 boostings"),
    "moe linear eight": ("linear", "moe linear", "cubist"),
    "moe linear tuned": ("linear tuned", "cubist tuned"),
    "moe evidence": ("linear", "moe linear", "moe linear eight", "cubist"),
    "moe evidence gate": ("linear", "moe linear gate", "cubist"),
    "moe tree ensemble": ("tree", "4 trees", "forest", "moe tree"),
    "moe tree gate ensemble": ("tree", "4 trees", "forest", "moe tree gate"),
    "moe boosting ensemble": (*BOOSTINGS, "moe boosting"),
    "moe boosting gate ensemble": (*BOOSTINGS, "moe boosting gate"),
}
INTERPRETABLE = (
    *("moe linear", "moe linear gate", "moe linear auto", "moe linear tuned"),
    *("moe linear eight", "moe evidence", "moe evidence gate"),
    *("linear tree", "cubist", "cubist tuned", "smt", "cgmm", "flexmix", "gmr"),
)
# Share of the tables that a model has to have done to be ranked.
USUAL = 0.9
# Significant ones of losses.
DIGITS = 6
# A signed rank test of fewer tables cannot come out significant.
FEWEST_TABLES = 6


def write(output: Path) -> str:
    """Write the report and its pictures beside `output`; return its text."""
    rows = rounded(pd.read_csv(whole_rows(output)))
    text = report(rows)
    output.with_suffix(".md").write_text(text)
    tabular_figures.draw_all(rows, output)
    return text


def rounded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with losses of as many digits as all of them have: what is level is to be a draw."""
    figures = rows[["loss", "nll"]]
    with np.errstate(divide="ignore"):
        unit = 10.0 ** (np.floor(np.log10(figures.abs())) - DIGITS + 1)
    return rows.assign(**(figures / unit).round().mul(unit).where(figures != 0, figures))


def report(rows: pd.DataFrame) -> str:
    """The whole report."""
    done = rows[rows["error"].isna()]
    parts = ["# Tabular benchmark", facts(rows)]
    for suite, part in done.groupby("suite", sort=False):
        parts += [f"## {suite}"]
        if any(pairs(part)):
            parts += [losses(part), comparisons(part)]
        if part["model"].nunique() > 1:
            parts += [ranks(part), wins(part)]
        if suite == "uci":
            parts += [tabular_uci.section(part)]
        if suite == "regimes":
            parts += [verdicts(part)]
    heading = "## Every table, on its first split"
    return "\n\n".join([*parts, heading, *every_table(done), troubles(rows)]) + "\n"


def facts(rows: pd.DataFrame) -> str:
    """What the rows are of."""
    commits = ", ".join(map(str, rows["commit"].unique()))
    hours = rows["fit_seconds"].sum() / 3600
    limits = ", ".join(map(str, rows.loc[rows["suite"] != "uci", "max_train"].unique()))
    capped = f" At most {limits} training rows, but on uci." if limits else ""
    return (
        f"{len(rows)} cells of {rows['table'].nunique()} tables and {rows['model'].nunique()} "
        f"models; {hours:.1f} hours of fits. Commits: {commits}.{capped}"
    )


def grid(rows: pd.DataFrame, figure: str) -> pd.DataFrame:
    """A figure by table and model, splits averaged."""
    return rows.pivot_table(figure, TABLE, "model", sort=False)


def pairs(rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Each mixture with each rival that it is compared to."""
    models = set(rows["model"])
    for ours, rivals in COMPARED_TO.items():
        yield from ((ours, rival) for rival in rivals if {ours, rival} <= models)


def common(rows: pd.DataFrame, *models: str) -> pd.DataFrame:
    """Rows of these models, of the splits that all of them have done."""
    part = rows[rows["model"].isin(models) & rows["loss"].notna()]
    return part[part.groupby(SPLIT)["model"].transform("nunique") == len(models)]


def losses(rows: pd.DataFrame) -> str:
    """Tables on which a mixture is worse than what it is made of."""
    lines = ["Where a mixture loses by more than 1 % of the loss (RMSE or log-loss):", ""]
    for ours, rival in pairs(rows):
        loss = grid(common(rows, ours, rival), "loss")
        ratio = (loss[ours] / loss[rival]).dropna().sort_values(ascending=False)
        worse = [f"{t[1]} {100 * (r - 1):+.1f} %" for t, r in ratio.items() if r > SLACK]
        lines.append(f"- {ours} to {rival}: {', '.join(worse) or 'nowhere'}.")
    return "\n".join(lines)


def comparisons(rows: pd.DataFrame) -> str:
    """Shares of tables on which a mixture is better than what it is made of."""
    lines = [compare(common(rows, *pair), *pair) for pair in pairs(rows)]
    return markdown(pd.DataFrame(lines))


def compare(rows: pd.DataFrame, ours: str, rival: str) -> dict[str, object]:
    """One line of the comparisons; a ratio is the geometric mean over the tables."""
    loss, nll = grid(rows, "loss"), grid(rows, "nll")
    ratio, gap = loss[ours] / loss[rival], nll[ours] - nll[rival]
    firm = [significant(part, ours, rival) for _, part in rows.groupby(TABLE)]
    return {
        "mixture": ours,
        "rival": rival,
        "tables": len(ratio),
        "loss better": f"{100 * (ratio < 1).mean():.0f} %",
        "not 1 % worse": f"{100 * (ratio <= SLACK).mean():.0f} %",
        "loss ratio": f"{np.exp(np.log(ratio).mean()):.3f}",
        "p": p_value(np.log(ratio)),
        "NLL better": f"{100 * (gap < 0).mean():.0f} %",
        "NLL mean": f"{gap.mean():+.3f}",
        "NLL median": f"{gap.median():+.3f}",
        "p NLL": p_value(gap),
        "surely better / worse": f"{firm.count(1)} / {firm.count(-1)}",
    }


def p_value(differences: pd.Series) -> str:
    """Of Wilcoxon's signed ranks over tables."""
    if len(differences) < FEWEST_TABLES or not differences.any():
        return "-"
    return f"{wilcoxon(differences).pvalue:.2g}"


def significant(rows: pd.DataFrame, ours: str, rival: str) -> int:
    """1 or -1 where the loss on one table differs at 5 % by the corrected t-test, else 0."""
    by_split = rows.pivot_table("loss", "split", "model")
    if not {ours, rival} <= set(by_split):
        return 0
    delta = (by_split[rival] - by_split[ours]).dropna()
    if len(delta) < 3:
        return 0
    share = (rows["n_test"] / rows["n_train"]).iloc[0]
    if rows["table"].iloc[0] in SYNTHETIC:  # each split is a table of its own
        share = 0.0
    stderr = np.sqrt((1 / len(delta) + share) * delta.var(ddof=1))
    apart = abs(delta.mean()) > student_t.ppf(0.975, len(delta) - 1) * stderr
    return int(np.sign(delta.mean())) if apart else 0


def ranks(rows: pd.DataFrame) -> str:
    """Average ranks over the tables that all models have done, best first."""
    lines = []
    for figure, name in (("loss", "loss"), ("nll", "NLL")):
        values = grid(rows, figure)
        usual = values.columns[values.notna().mean() > USUAL]
        lines.append(rank_line(grid(common(rows, *usual), figure), name))
        local = values[[model for model in INTERPRETABLE if model in values]].dropna(how="all")
        simple = local.columns[local.notna().mean() > USUAL]
        if len(simple) > 2:
            local = grid(common(rows, *simple), figure)
            lines.append(rank_line(local, f"{name}, local linear models"))
    return "\n".join(lines)


def rank_line(values: pd.DataFrame, name: str) -> str:
    """Average ranks by one figure, and how far apart they must be to mean something."""
    if len(values) < 2:
        return f"- Ranks by {name}: fewer than two tables done by all."
    mean = values.rank(axis=1).mean().sort_values()
    shown = ", ".join(f"{model} {rank:.2f}" for model, rank in mean.items())
    n_models = len(mean)
    quantile = studentized_range.ppf(0.95, n_models, np.inf) / np.sqrt(2)
    apart = quantile * np.sqrt(n_models * (n_models + 1) / (6 * len(values)))
    return f"- Ranks by {name} ({len(values)} tables; critical difference {apart:.2f}): {shown}."


def wins(rows: pd.DataFrame) -> str:
    """How often (%) the model of a row has a lower loss than that of a column."""
    loss = rows.pivot_table("loss", SPLIT, "model", sort=False)
    share = tabular_figures.win_shares(loss)
    shown = (100 * share).round(0).astype("Int64").astype(str).replace("<NA>", "")
    return "Splits (%) on which the model of the row has the lower loss:\n\n" + markdown(
        shown.rename_axis("model").reset_index()
    )


def verdicts(rows: pd.DataFrame) -> str:
    """What `gain_` says where it is known whether there are regimes."""
    told = rows[rows["table"].isin(SYNTHETIC) & rows["model"].isin(OURS) & rows["gain"].notna()]
    ratio = told["gain"] / told["gain_stderr"]
    says = told.assign(yes=ratio > 2, no=ratio < -2, kept=told["n_experts"] > 1)
    table = says.groupby(["table", "model"], sort=False)[["yes", "no", "kept"]].mean()
    heading = "Share of splits on which `gain_` is above (yes) or below (no) two standard errors:"
    return f"{heading}\n\n{markdown(table.reset_index(), digits=2)}"


def every_table(rows: pd.DataFrame) -> list[str]:
    """The figures by table and model, on the first split: not all models have done the others."""
    rows = rows[rows["split"] == rows.groupby(TABLE)["split"].transform("min")]
    names = {"loss": "Loss (RMSE or log-loss)", "nll": "NLL", "fit_seconds": "Seconds of a fit"}
    return [
        f"{title}\n\n{markdown(grid(rows, name).reset_index())}" for name, title in names.items()
    ]


def done_elsewhere(rows: pd.DataFrame) -> pd.Series:
    """Whether a row of the same cell has no error."""
    return rows["error"].isna().groupby([rows[name] for name in (*SPLIT, "model")]).transform("any")


def troubles(rows: pd.DataFrame) -> str:
    """Errors, with the cells that had them."""
    failed = rows[rows["error"].notna() & ~done_elsewhere(rows)]
    lines = [f"- {r.suite} {r.table} {r.split} {r.model}: {r.error}" for r in failed.itertuples()]
    return "\n".join(["Errors:", "", *(lines or ["- none"])])
