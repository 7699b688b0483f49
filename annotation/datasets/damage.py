from workspace.errors import ActionError


class DatasetDamaged(ActionError):
    """The files of a dataset are not those of its manifest."""

    code = "dataset_damaged"
