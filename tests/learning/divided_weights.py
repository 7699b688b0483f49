"""ZeRO 3 divides every weight of a small model, as it does the large ones of a real model.

DeepSpeed leaves weights below 100,000 numbers whole once they were gathered; all of a tiny model's are, so that nothing
of what dividing them changes would be tested.
"""

from typing import Any

import deepspeed

_initialize = deepspeed.initialize


def initialize(*args: Any, config: dict[str, Any], **kwargs: Any) -> Any:
    if config["zero_optimization"]["stage"] == 3:
        whole = {"stage3_param_persistence_threshold": 0, "stage3_model_persistence_threshold": 0}
        config = {**config, "zero_optimization": {**config["zero_optimization"], **whole}}
    return _initialize(*args, config=config, **kwargs)


deepspeed.initialize = initialize
