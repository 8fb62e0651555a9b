"""The words of simulated rooms: enough of them, none shared by training and test, every cell filled."""

from itertools import product

import pytest

from kuaihl.engines.cold_start.grammar import (
    GENRES,
    HELD_OUT_GENRES,
    KINDS,
    SHARED,
    SPLITS,
    as_read,
    part_of,
    read_templates,
    slot_fillings,
    written_lines,
    written_out,
)
from kuaihl.models.simulation.terms import TOPICS

LANGUAGES = ("en", "zh")
TRAINED_GENRES = [genre for genre in GENRES if genre not in HELD_OUT_GENRES]


def genres_of(split: str) -> list[str]:
    return TRAINED_GENRES if split == "train" else list(GENRES)


def all_lines(language: str, split: str, kind: str) -> set[str]:
    cells = product(genres_of(split), TOPICS)
    return {line for genre, topic in cells for line in written_lines(language, genre, topic, kind, split)}


def every_line(language: str, split: str) -> set[str]:
    return all_lines(language, split, "speech") | all_lines(language, split, "comments")


@pytest.mark.parametrize("language", LANGUAGES)
def test_3000_lines_that_differ_as_the_encoder_reads_them(language: str) -> None:
    read = {as_read(line) for split in SPLITS for line in every_line(language, split)}
    assert len(read) >= 3000


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lines_are_mostly_written_and_not_made_by_the_grammar(language: str) -> None:
    written = [
        line for name in (*GENRES, SHARED) for lines in read_templates(language, name).lists.values() for line in lines
    ]
    assert len(set(written)) >= 1200
    assert len(written) == len(set(written))  # or a template would be in both splits


@pytest.mark.parametrize("language", LANGUAGES)
def test_training_reads_no_held_out_line(language: str) -> None:
    train, held_out = ({as_read(line) for line in every_line(language, split)} for split in SPLITS)
    assert not train & held_out


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_genres_have_no_part_in_training(language: str) -> None:
    train = every_line(language, "train")
    own = {
        line
        for genre in HELD_OUT_GENRES
        for templates in read_templates(language, genre).lists.values()
        for template in templates
        for line in written_out(template, slot_fillings(language, genre, "held-out"))
    }
    assert len(own) > 200
    assert not own & train
    with pytest.raises(ValueError, match="held-out genre"):
        written_lines(language, HELD_OUT_GENRES[0], "hype", "speech", "train")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split", SPLITS)
def test_each_genre_has_six_lines_of_each_topic(language: str, split: str) -> None:
    for genre, topic, kind in product(genres_of(split), TOPICS, KINDS):
        assert len(written_lines(language, genre, topic, kind, split)) >= 6, (genre, topic, kind)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split", SPLITS)
def test_lines_are_whole_and_of_a_sane_length(language: str, split: str) -> None:
    for line in every_line(language, split):
        assert not set(line) & set("{}|*"), line
        assert line == line.strip()
    for line in all_lines(language, split, "comments"):
        assert 1 <= len(line) <= 100, line
    speech = all_lines(language, split, "speech")
    lengths = [len(line.split()) if language == "en" else len(line) for line in speech]
    assert max(lengths) <= 40
    assert sum(length < 4 for length in lengths) < 0.05 * len(lengths)  # a name alone, a yes


def test_topics_of_the_files_are_those_of_the_simulator() -> None:
    for language, name in product(LANGUAGES, (*GENRES, SHARED)):
        assert set(read_templates(language, name).lists) == set(product(TOPICS, KINDS)), (language, name)


def test_each_third_entry_is_held_out() -> None:
    entries = ["a", "b", "c", "d", "e", "f", "g"]
    assert part_of(entries, "sport", "train") == ["a", "b", "d", "e", "g"]
    assert part_of(entries, "sport", "held-out") == ["c", "f"]
    assert part_of(entries, "cooking", "held-out") == entries


def test_the_grammar() -> None:
    slots = {"player": ["Novak"]}
    assert written_out("Goal!", slots) == ["Goal!"]
    assert written_out("{player} scores!", slots) == ["Novak scores!"]
    pair = {"player": ["Novak", "Keane"]}
    assert set(written_out("{player} to {player}.", pair)) == {"Novak to Keane.", "Keane to Novak."}
    assert set(written_out("{player}! {=player}!", pair)) == {"Novak! Novak!", "Keane! Keane!"}
    assert set(written_out("What a (goal|save)!", slots)) == {"What a goal!", "What a save!"}
    assert set(written_out("gg( wp|)", slots)) == {"gg wp", "gg"}
    assert all(
        set(line) == set("lo") and line.strip("o") == "l" + "o" * line.count("o") + "l"
        for line in written_out("lo*l", slots)
    )
    assert all(set(line.split()) == {"LUL"} for line in written_out("(LUL )*", slots))


def test_lines_are_the_same_every_time() -> None:
    first = written_lines("en", "sport", "hype", "speech", "train")
    assert written_out("{player} to {player}.", slot_fillings("en", "sport", "train")) == written_out(
        "{player} to {player}.", slot_fillings("en", "sport", "train")
    )
    assert isinstance(first, tuple)  # what was handed out cannot be changed
    assert written_lines("en", "sport", "hype", "speech", "train")


@pytest.mark.parametrize(
    ("genre", "kind", "split"), [("chess", "speech", "train"), ("sport", "song", "train"), ("sport", "speech", "test")]
)
def test_an_unknown_genre_kind_or_split_is_an_error(genre: str, kind: str, split: str) -> None:
    with pytest.raises(ValueError, match="no lines of genre"):
        written_lines("en", genre, "hype", kind, split)
