"""The findings as Markdown and as JSON."""

import os
import platform
import subprocess
from collections.abc import Sequence
from typing import Any

import torch
from measures import HEAD, HEAD_ABOVE_RULE, ORDER, PRECISION, TIES, Found
from rules import knows_no_domain

from kuaihl.engines.runtimes.processor import read_processor
from kuaihl.models.bundle import Bundle
from kuaihl.models.evaluation.bootstrap import Estimate

NONE = "–"
QUESTIONS = {"present": "the present segment", "next": "the next segment"}

HOW_TO_READ = """## How to read this page

- Every set is real broadcasts that people labelled, in segments of 30 s. Nothing that ships was trained on them or
  tuned to these figures. The data is not ours to publish.
- **tau** is Kendall's tau-b within a recording, then the mean over recordings. Constant scores count as 0. **AP** is
  average precision against highlights and others, also a mean over recordings. **AUC** of bursts is within a
  broadcast; the mean is over broadcasts, each alike.
- Brackets are 95% intervals by bootstrap over what each section names. Differences are paired: draw by draw, on the
  same segments.
- **Rules** are the signals of a segment, each as its value and as its causal standard score. A rule is read one way
  only: more is better.
- **The best rule** is the one with the highest figure in that very set. To choose the best of many on the data that
  measures them favours the rules.
- **Domain-free** rules (*) are those that issue 12 lists: comments, chatters, laughter, exclamation, words, loudness.
  Fullness is one, for it is what the issue calls loudness in esports.
- **Ties**: tau-b divides by the pairs of unlike scores, so a rule that speaks up in few segments is judged on few
  pairs. "Ties by chance" is what it has if equal scores are put in an order by chance. A score without equal values
  that says the same has that.
- **Ridge**, **network** and **network from the shipped head** learn from the set itself by cross-validation. Sizes
  and rates were fixed beforehand. Ridge reads the last four segments.
- **The shipped head** answers "the next segment" by its score and "the present segment" by its interest. A head
  without that output answers both by its score. The lines below it show each output on both questions.

## What to know about the sets

- **Football**: Whisper's words of the commentators, most of them translated; a sentence belongs to the segment of its
  middle. There are no pictures, no sound and no comments.
- **Chinese chat**: one broadcast with 14 highlights. Its chat follows the highlights by about half a segment.
- **Bursts**: each is one segment, as long as it lasts; those of a broadcast are read as one stream. Authors are not
  told, so every message counts as one chatter's. A burst has no next segment.
- **Esports**: the sound's levels are relative to the loudest cell of each step of 5 s (librosa's
  `power_to_db(ref=np.max)`). So their mean is fullness, how near the sound stays to its own peak, and no level. The
  picture features are another network's, so pictures count as unknown. A game's six streams, a step apart, are pooled.
"""


def figure(found: Estimate | None, *, sign: bool = True) -> str:
    """A figure and its interval."""
    if found is None or found.value != found.value:
        return NONE
    plus = "+" if sign else ""
    return f"{found.value:{plus}.3f} ({found.low:{plus}.3f} – {found.high:{plus}.3f})"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def section(found: Found) -> str:
    """A set: its systems, the differences between them, and its rules."""
    real = found.real
    names = {ORDER: real.ordered, PRECISION: "tau" if real.ordered == "AUC" else "AP"}
    segments = sum(len(each.starts) for each in real.recordings)
    ceilings = ", ".join(f"{value:.3f} ({QUESTIONS[name]})" for name, value in found.highest.items())
    parts = [
        f"## {real.title}",
        f"{len(real.recordings)} recording{'s' * (len(real.recordings) > 1)}, {segments:,} segments; intervals over "
        f"{real.drawn}. "
        f"Label: {real.label}. A perfect score without ties has a tau of {ceilings}.",
        systems_table(found, names),
        differences_table(found),
        f"### {real.title}: all rules",
        rules_table(found, names),
        *(f"Skipped: {reason}." for reason in found.skipped),
    ]
    return "\n\n".join(part for part in parts if part)


def columns_head(found: Found, first: str, names: dict[str, str]) -> list[str]:
    return [first, *(f"{QUESTIONS[question]}, {name}" for question in found.rules for name in names.values())]


def cells(measured: dict[str, Estimate] | None, names: dict[str, str]) -> list[str]:
    return [figure(measured[name] if measured else None, sign=text == "tau") for name, text in names.items()]


def systems_table(found: Found, names: dict[str, str]) -> str:
    """Every system and the best rules, by question and measure."""
    systems = list(dict.fromkeys(name for by_system in found.systems.values() for name in by_system))
    rows = [[name, *(cell for by in found.systems.values() for cell in cells(by.get(name), names))] for name in systems]
    for kind, text in (("domain-free", "best domain-free rule"), ("any", "best rule of all")):
        best = [(rules, found.best[question][kind]) for question, rules in found.rules.items()]
        called = " / ".join(dict.fromkeys(rule for _, rule in best))
        rows.append([f"{text}: {called}", *(cell for rules, rule in best for cell in cells(rules[rule], names))])
    return markdown(columns_head(found, "system", names), rows)


def differences_table(found: Found) -> str:
    whats = list(dict.fromkeys(what for by in found.differences.values() for what in by))
    if not whats:
        return ""
    rows = [[what, *(figure(by.get(what)) for by in found.differences.values())] for what in whats]
    return markdown([f"difference in {found.real.ordered}", *(QUESTIONS[name] for name in found.differences)], rows)


def rules_table(found: Found, names: dict[str, str]) -> str:
    """Every rule; the domain-free ones marked."""
    shown = names | {TIES: "tau, ties by chance"}
    first = next(iter(found.rules.values()))
    rows = [
        [
            f"{name} *" if knows_no_domain(name) else name,
            *(cell for rules in found.rules.values() for cell in cells(rules[name], names)),
            *(f"{rules[name][TIES].value:+.3f}" for rules in found.rules.values()),
        ]
        for name in first
    ]
    ties = [f"{QUESTIONS[question]}, {shown[TIES]}" for question in found.rules]
    return markdown([*columns_head(found, "rule (* domain-free)", names), *ties], rows)


def page(results: Sequence[Found], made: str) -> str:
    """The whole page."""
    parts = ["# On real broadcasts", in_short(results), HOW_TO_READ.strip(), *map(section, results), made]
    return "\n\n".join(parts) + "\n"


def in_short(results: Sequence[Found]) -> str:
    """The head beside the best domain-free rule in every set, in a word."""
    rows = []
    for found in results:
        for question, systems in found.systems.items():
            rule = found.best[question]["domain-free"]
            above = found.differences[question][HEAD_ABOVE_RULE]
            figures = [systems[HEAD][ORDER].value, found.rules[question][rule][ORDER].value]
            first = (found.real.title, QUESTIONS[question], found.real.ordered)
            rows.append([*first, *(f"{value:.3f}" for value in figures), rule, figure(above), verdict(above)])
    head = ["set", "question", "measure", "shipped head", "best domain-free rule", "which", "difference", "the head is"]
    return (
        "## In short\n\nA head is above or below a rule if the interval of the paired difference is clear of 0.\n\n"
        + markdown(head, rows)
    )


def verdict(difference: Estimate) -> str:
    """The verdict on a paired difference."""
    if difference.low > 0:
        return "above"
    return "below" if difference.high < 0 else "not decided"


def provenance(command: str, bundle: Bundle, seconds: float) -> str:
    """Command, commit, machine, and the head that was measured."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    machine = f"{read_processor().name} ({platform.machine()}), {os.cpu_count()} cores, torch {torch.__version__}"
    return (
        f"Made by `{command}` at commit {commit.stdout.strip() or 'unknown'} in {seconds / 60:.0f} min, on {machine}. "
        f"Head: {bundle.name}, SHA-256 {bundle.head_sha256[:12]}."
    )


def as_json(results: Sequence[Found], made: str) -> dict[str, Any]:
    """Figures as [value, low, high], by set, question, system and measure."""
    return {"made": made} | {
        found.real.name: {
            "label": found.real.label,
            "recordings": len(found.real.recordings),
            "segments": sum(len(each.starts) for each in found.real.recordings),
            "measures": {ORDER: found.real.ordered, PRECISION: "tau" if found.real.ordered == "AUC" else "AP"},
            "systems": of_each(found.systems),
            "rules": of_each(found.rules),
            "best rule": found.best,
            "differences": {
                question: {what: numbers(each) for what, each in by.items()}
                for question, by in found.differences.items()
            },
            "highest tau": found.highest,
            "skipped": list(found.skipped),
        }
        for found in results
    }


def of_each(measured: dict[str, dict[str, dict[str, Estimate]]]) -> dict[str, Any]:
    return {
        question: {name: {what: numbers(each) for what, each in by.items()} for name, by in systems.items()}
        for question, systems in measured.items()
    }


def numbers(found: Estimate) -> list[float | None]:
    """JSON has no NaN, so it becomes None."""
    return [value if value == value else None for value in (found.value, float(found.low), float(found.high))]
