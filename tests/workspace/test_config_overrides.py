import pytest

from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError

CONFIG = {"data": {"epochs": 1, "seed": 0}, "name": "tiny"}


@pytest.mark.parametrize(
    ("assignment", "changed"),
    [
        ("data.epochs=2", {"data": {"epochs": 2, "seed": 0}, "name": "tiny"}),
        ("name=large", {"data": {"epochs": 1, "seed": 0}, "name": "large"}),
        ("data.temperatures=[0.7, 1.0]", CONFIG | {"data": CONFIG["data"] | {"temperatures": [0.7, 1.0]}}),
        ("loss.name=hinge=1", CONFIG | {"loss": {"name": "hinge=1"}}),
        ("name.first=a", CONFIG | {"name": {"first": "a"}}),
    ],
)
def test_a_value_is_put_where_its_key_says_and_the_config_itself_stays(assignment, changed):
    before = repr(CONFIG)
    assert apply_overrides(CONFIG, [assignment]) == changed
    assert repr(CONFIG) == before


@pytest.mark.parametrize("assignment", ["epochs", "=2", "data..epochs=2", ".a=1"])
def test_what_is_no_assignment_is_refused(assignment):
    with pytest.raises(ActionError, match="is not of the form key=value"):
        apply_overrides(CONFIG, [assignment])
