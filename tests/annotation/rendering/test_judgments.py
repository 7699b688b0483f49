from annotation.rendering.judgments import describe_judgment


def test_a_judgment_is_said_in_words():
    assert describe_judgment([["B"], ["A"]], [2]) == "B better than A"
    assert (
        describe_judgment([["A", "C"], ["B"], ["D"]], [1, 3])
        == "A = C slightly better than B, significantly better than D"
    )
    assert describe_judgment([["A", "B"]], []) == "A = B (a tie)"
