import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.content.transcripts import (
    MARKERS,
    from_transcript,
    is_lossless_transcript,
    shared_prompt,
    tidy_transcript,
    to_continuation,
    to_transcript,
    turn_text,
)

WORDS = st.text(st.sampled_from("abc \n:"), min_size=1, max_size=12).map(str.strip).filter(bool)
DIALOGUES = st.lists(st.tuples(WORDS, WORDS), max_size=3).flatmap(
    lambda turns: WORDS.map(
        lambda last: (
            [
                turn
                for question, answer in turns
                for turn in (
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                )
            ]
            + [{"role": "user", "content": last}]
        )
    )
)


@given(DIALOGUES)
def test_a_dialogue_survives_being_a_transcript(messages):
    assert from_transcript(to_transcript(messages)) == messages
    assert is_lossless_transcript(messages)


@given(DIALOGUES, WORDS, WORDS)
def test_the_shared_prompt_of_two_answers_is_the_dialogue_before_them(messages, better, worse):
    before = to_transcript(messages)
    prompt, a, b = shared_prompt(f"{before} {better}", f"{before} {worse}")
    assert from_transcript(prompt) == messages
    assert (a, b) == (better, worse)


def test_the_prompt_ends_at_the_last_shared_marker_not_at_the_last_shared_letter():
    start = "\n\nHuman: Q\n\nAssistant: The answer is "
    prompt, a, b = shared_prompt(start + "four", start + "five")
    assert prompt == "\n\nHuman: Q\n\nAssistant:"
    assert (a, b) == ("The answer is four", "The answer is five")


def test_two_assistant_turns_in_a_row_are_one_answer():
    start = "\n\nHuman: Q\n\nAssistant: Wait.\n\nAssistant:"
    prompt, a, b = shared_prompt(start + " four", start + " five")
    assert from_transcript(prompt) == [{"role": "user", "content": "Q"}]
    assert (a, b) == ("Wait.\n\nAssistant: four", "Wait.\n\nAssistant: five")


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        ("\n\nHuman: A\n\nAssistant: x", "\n\nHuman: B\n\nAssistant: x"),
        ("x", "y"),
        ("", ""),
        ("\n\nAssistant: x", "\n\nAssistant: y"),
        ("preface\n\nHuman: A\n\nAssistant: x", "preface\n\nHuman: A\n\nAssistant: y"),
    ],
)
def test_sides_without_a_shared_prompt_have_none(chosen, rejected):
    assert shared_prompt(chosen, rejected) is None


ANYTHING = st.lists(st.one_of(st.text(max_size=5), st.sampled_from(sorted(MARKERS.values()))), max_size=8)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_whatever_the_text_a_prompt_found_is_the_beginning_of_both_sides(common, a, b):
    chosen, rejected = "".join(common + a), "".join(common + b)
    found = shared_prompt(chosen, rejected)
    if found is not None:
        prompt, better, worse = found
        assert chosen.startswith(prompt) and rejected.startswith(prompt)
        for answer, whole in ((better, chosen), (worse, rejected)):
            if not isinstance(answer, str):  # a conversation that goes on: nothing of it is lost
                assert "".join(to_continuation(answer).split()) == "".join(whole[len(prompt) :].split())
                continue
            # All its words, and no white space of the transcript's own but the indentation of its first line.
            assert answer.strip() == whole[len(prompt) :].strip()
            assert answer == answer.rstrip() and whole.rstrip().endswith(answer)
            assert not answer.startswith("\n")
        assert from_transcript(prompt)[-1]["role"] in ("user", "tool")
    turns = from_transcript(chosen + MARKERS["assistant"])
    assert turns is None or {turn["role"] for turn in turns} <= set(MARKERS)


def test_a_turn_that_holds_a_marker_does_not_survive_and_says_so():
    assert not is_lossless_transcript([{"role": "user", "content": "x\n\nAssistant: y"}])


@pytest.mark.parametrize(
    ("after_marker", "text"),
    [
        (" yes", "yes"), ("yes", "yes"), (" yes \n\n", "yes"), ("", ""), (" \n ", ""),
        ("     return 1\n", "    return 1"), ("\n    if x:\n        go()\n", "    if x:\n        go()"),
        (" \n\n\tgo()", "\tgo()"), (" a\n    b", "a\n    b"),
    ],
)  # fmt: skip
def test_the_indentation_of_a_turn_is_its_own(after_marker, text):
    assert turn_text(after_marker) == text
    turns = [
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": text},
        {"role": "user", "content": "R"},
    ]
    assert is_lossless_transcript(turns)


def test_transcripts_that_were_stripped_or_have_crlf_are_the_same_transcripts():
    plain = "\n\nHuman: A\nb\n\nAssistant: c\n\nHuman: d\n\nAssistant: e"
    for text in (
        plain,
        plain.strip(),
        plain[1:],
        plain.replace("\n", "\r\n"),
        plain.replace("\n", "\r\n").strip(),
    ):
        assert tidy_transcript(text) == plain
    # Texts that are no transcripts stay as they are, line ends included.
    for text in ("a\r\nb", "Humans: x", "x\n\nHuman: y", ""):
        assert tidy_transcript(text) == text
