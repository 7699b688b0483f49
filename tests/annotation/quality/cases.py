"""Known answers: small cases of textbooks and of other libraries' tests, each with its source
(reference_cases.json).
"""

import json
from pathlib import Path

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parent / "reference_cases.json").read_text())
}
