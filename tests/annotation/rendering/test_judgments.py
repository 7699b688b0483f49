from annotation.rendering.judgments import describe_judgment


def test_a_judgment_reads_as_english():
    assert describe_judgment([["B"], ["A"]], [2]) == "B is better than A"
    assert describe_judgment([["A", "B"]], []) == "A = B (a tie)"


def test_a_ranking_says_between_which_ranks_a_step_is():
    """Not "A much better than B, better than C": the better is B over C, not A over C."""
    assert (
        describe_judgment([["A"], ["B"], ["C"]], [3, 2]) == "1. A (much better than) 2. B (better than) 3. C"
    )
    assert (
        describe_judgment([["A", "C"], ["B"], ["D"]], [1, 0])
        == "1. A = C (a little better than) 2. B (barely better than) 3. D"
    )


def test_a_strength_that_nobody_gave_is_not_a_small_one():
    assert describe_judgment([["B"], ["A"]], [None]) == "B is better than A (no strength given)"
    assert (
        describe_judgment([["A"], ["B"], ["C"]], [None, 3])
        == "1. A (better than, no strength given) 2. B (much better than) 3. C"
    )
