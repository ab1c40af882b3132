# SPDX-License-Identifier: Apache-2.0
"""The page: a Markdown table from the raw results, written between two marks of docs/BENCHMARKS.md."""
import statistics

from . import machine, measures, place, rows
from .record import Results

BEGIN, END = "<!-- ./dev bench writes from here -->", "<!-- ./dev bench writes to here -->"
DURABLE = "Durability of every line: both sides answer 250 after the message is forced to disk."


def number(x):
    if x is None:
        return "-"
    if abs(x) >= 100:
        return f"{x:,.0f}"
    return f"{x:.3g}"


def verdict(row):
    if not row.measured:
        return "not measured"
    if row.reached is None:
        return ""
    return "reached" if row.reached else "**missed**"


def limit(row):
    if row.limit is None:
        return ""
    used = f", {100 * row.share:.0f} % of it" if row.share else ""
    return f"{number(row.limit)} ({row.limit_text}{used})"


def table(all_rows):
    yield "| measure | barid | peer | barid : peer | asked | verdict | the machine's limit |"
    yield "|---|---|---|---|---|---|---|"
    for r in all_rows:
        unit = f" {r.unit}" if r.unit else ""
        ratio = number(r.ratio) if r.ratio else ""
        yield (f"| {r.title} | {number(r.barid)}{unit if r.barid is not None else ''} | {number(r.peer)}{unit if r.peer is not None else ''} "
               f"| {ratio} | {r.wanted} | {verdict(r)} | {limit(r)} |")


def spread(values):
    if all(isinstance(v, (int, float)) for v in values):
        low, high, mid = min(values), max(values), statistics.median(values)
        return number(mid) if low == high else f"{number(mid)} ({number(low)}..{number(high)})"
    return str(values[-1])


def details(name):
    """Every figure of one measure: median, and least and most of its rounds."""
    r = Results(name)
    for what, who in dict.fromkeys((row["what"], row["side"]) for row in r.rows):
        chosen = [row["data"] for row in r.rows if (row["what"], row["side"]) == (what, who)]
        cells = [f"{key} {spread([d[key] for d in chosen])}" for key in chosen[0]]
        yield f"| {name}: {what} | {who} | {len(chosen)} | {', '.join(cells)} |"


def syncs():
    """The durability mode of each side, as strace saw it."""
    r = Results("durability")
    for who in dict.fromkeys(row["side"] for row in r.rows):
        before, after = (r.text("syncs", who, key) or [] for key in ("before", "after"))
        yield (f"* {who}: before the 250 {'; '.join(before) or 'nothing'}. After it {'; '.join(after) or 'nothing'}. "
               f"Syncs per message: {number(r.text('syncs', who, 'one_by_one'))} one by one, "
               f"{number(r.text('syncs', who, 'at_20_connections'))} with 20 connections.")


def heads():
    """When and of what each measure was taken; one line when all are of one run."""
    seen = {name: Results(name).head for name in measures.ALL}
    seen = {name: h for name, h in seen.items() if h}
    if not seen:
        return ["No results yet."]
    commits = sorted({h["commit"] for h in seen.values()})
    loads = [h["load"] for h in seen.values()]
    quick = sorted(name for name, h in seen.items() if h["quick"])
    lines = [f"Taken {min(h['at'] for h in seen.values())} to {max(h['at'] for h in seen.values())} UTC, barid {', '.join(commits)}; "
             f"load of the machine when the measures began: {min(loads)} to {max(loads)}."]
    if quick:
        lines.append(f"Short runs (`--quick`), good for a first look only: {', '.join(quick)}.")
    return lines


def text():
    all_rows = list(rows.all_rows())
    missed = [r for r in all_rows if r.reached is False]
    out = [*machine.lines(), *heads(), "", *table(all_rows), ""]
    asked = [r for r in all_rows if r.reached is not None]
    out += [f"{len(asked) - len(missed)} of {len(asked)} lines reach what is asked of them."
            + (f" Missed: {'; '.join(r.title for r in missed)}." if missed else ""), ""]
    low = [r for r in all_rows if r.share is not None and r.share < 0.5]
    if low:
        out += ["Under half of what the limit allows (what stands between is said below): " + "; ".join(r.title for r in low) + ".", ""]
    out += [DURABLE, *syncs(), "", "Every figure: the median of the rounds, and the least and the most.", "",
            "| measure | side | rounds | figures |", "|---|---|---|---|"]
    for name in measures.ALL:
        if name != "durability":
            out += details(name)
    return "\n".join(out)


def write():
    """Write the page, and give the part that was written."""
    made = text()
    with open(place.PAGE, encoding="utf-8") as f:
        page = f.read()
    if BEGIN not in page or END not in page:
        raise place.Failure(f"bench: {place.PAGE} has lost the marks between which the table stands")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    with open(place.PAGE, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n{made}\n{END}{after}")
    return made
