"""What cards say to the Hub: the licence by its own name, a header that is YAML, words that break no table."""

import pytest
import yaml

from workspace.cards import cell, header, licence_fields, percent, size_category, table


@pytest.mark.parametrize(
    "written, said",
    [
        ("", {}),
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),  # as SPDX writes it
        ("ODbL-1.0", {"license": "odbl"}),  # the Hub's own name for it
        ("GPL-3.0-only", {"license": "gpl-3.0"}),
        ("House rules, 2nd edition", {"license": "other", "license_name": "house-rules-2nd-edition"}),
        (
            "Open Data https://example.org/terms",
            {"license": "other", "license_name": "open-data", "license_link": "https://example.org/terms"},
        ),
        ("独自", {"license": "other", "license_name": "see-link"}),
    ],
)
def test_a_licence_is_said_as_the_hub_has_it(written, said):
    assert licence_fields(written) == said


def test_the_header_is_yaml_whatever_the_names_are():
    fields = {
        "license": "mit",
        "pretty_name": "a: 'b' # c\n--- 👩‍🍳",
        "tags": ["x", "yes"],
        "left": "",
        "out": [],
    }
    said = header(fields)
    assert yaml.safe_load(said) == {name: fields[name] for name in ("license", "pretty_name", "tags")}
    assert "\n---" not in said


def test_words_of_others_stay_in_their_cell():
    made = table(("what", "how many"), [("a|b\n<img>", 12_345)])
    assert made.splitlines()[2] == r"| a\|b \<img\> | 12,345 |"
    assert table(("what",), []) == "" and cell("`x`") == r"\`x\`"


def test_sizes_and_shares():
    # The Hub's classes: hub/datasets-cards.
    assert [size_category(n) for n in (0, 999, 1_000, 250_000, 10**9)] == [
        "n<1K", "n<1K", "1K<n<10K", "100K<n<1M", "n>1B",
    ]  # fmt: skip
    assert (percent(0.12345), percent(None)) == ("12.3 %", "")
