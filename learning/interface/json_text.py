"""Values as JSON text, many small ones, as `json.dumps` writes them: it makes an encoder anew for every value."""

import json
import json.encoder
from collections.abc import Callable
from typing import Any


def json_encoder(*, ensure_ascii: bool = True, sort_keys: bool = False) -> Callable[[Any], str]:
    """From a value to what `json.dumps` makes of it with these options. A value within itself is a RecursionError."""
    plain = json.JSONEncoder(ensure_ascii=ensure_ascii, sort_keys=sort_keys)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # an interpreter without C
        return plain.encode
    quote = json.encoder.encode_basestring_ascii if ensure_ascii else json.encoder.encode_basestring
    parts = make(None, plain.default, quote, None, ": ", ", ", sort_keys, False, True)
    return lambda value: "".join(parts(value, 0))
