from annotation.rendering.differences import compare_texts


def shown(before, after):
    """Changed words in brackets."""
    return [
        (
            line.kind,
            "".join(f"[{part.text}]" if part.is_changed else part.text for part in line.parts),
            line.skipped,
        )
        for line in compare_texts(before, after)
    ]


def test_equal_texts_have_no_difference():
    assert shown("a\nb", "a\nb") == []


def test_changed_words_within_a_changed_line_and_two_lines_around_it():
    before = "\n".join(["1", "2", "3", "Prefer the short one.", "5", "6", "7", "8", "9"])
    assert shown(before, before.replace("short", "long")) == [
        ("same", "2", 1),
        ("same", "3", 0),
        ("removed", "Prefer the [short] one.", 0),
        ("added", "Prefer the [long] one.", 0),
        ("same", "5", 0),
        ("same", "6", 0),
    ]


def test_whole_lines_come_and_go():
    assert shown("a\nb\nc", "a\nc\nd") == [
        ("same", "a", 0),
        ("removed", "[b]", 0),
        ("same", "c", 0),
        ("added", "[d]", 0),
    ]
    assert shown("", "new") == [("added", "[new]", 0)]


def test_a_line_too_long_to_compare_by_words_is_changed_as_a_whole():
    line = "word " * 300
    assert shown(line, line + "more") == [("removed", f"[{line}]", 0), ("added", f"[{line}more]", 0)]
