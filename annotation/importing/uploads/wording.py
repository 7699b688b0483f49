"""Sentences of imports name options of commands; on a page the same choice is a field."""

import re

_CHOICES = (
    (r"leave them out with --skip-bad", "tick “Leave bad rows out”"),
    (r"--again (brings|imports) them (in|once more)", r"“Import rows again” \1 them \2"),
    (r"(name|; name) another with --map (\S+)=COLUMN", r"\1 its column below (\2)"),
    (r"give it one with --split-name (\S+)=(\w+)", r"give it one below, as \1=\2"),
    (r"give it one with --strength (\S+?)=(\S+)", r"give it one below, as \1=\2"),
    (r"--project-splits takes the project's", "“Use the project's splits” takes those"),
    (r"--project-splits uses neither", "“Use the project's splits” uses neither"),
    (r"--margins small, large or A,B,C gives them one", "a rule for margins below gives them one"),
    (r"--strength ", ""),
    (r"--split-name ", ""),
    (r"--map (\S+?)=(\S+)", r"“\1” from the column \2"),
    (r"--margins ", "the rule for margins: "),
    (r"--map ", "below, choose "),
    (r"`manage\.py undo_import [^`]*`", "the import's page"),
)


def in_page_words(sentence: str) -> str:
    for pattern, words in _CHOICES:
        sentence = re.sub(pattern, words, sentence)
    return sentence
