import pytest

from learning.interface.options import UserError
from learning.models.architectures import require_max_positions


def test_lengths_beyond_the_models_positions_are_refused(make_policy):
    require_max_positions(make_policy("gpt2"), 256)
    with pytest.raises(UserError, match="up to 257 tokens do not fit a model with 256 positions"):
        require_max_positions(make_policy("gpt2"), 257)
