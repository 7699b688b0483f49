import pytest

from workspace.actions import add_criterion
from workspace.criteria import find_criterion
from workspace.errors import ActionError

pytestmark = pytest.mark.db


def test_the_only_criterion_needs_no_name(project, criterion):
    assert find_criterion(project, None) == criterion
    assert find_criterion(project, "helpful") == criterion


def test_several_criteria_need_a_name_that_the_project_has(project, max_):
    harmless = add_criterion(actor=max_, project=project, name="harmless", question="Which is less harmful?")
    assert find_criterion(project, "harmless") == harmless
    with pytest.raises(ActionError, match=r"has several criteria: name one .* \(helpful, harmless\)"):
        find_criterion(project, None)
    with pytest.raises(ActionError, match="has no criterion kind") as error:
        find_criterion(project, "kind")
    assert error.value.code == "which_criterion"
