"""What of an answer may sway who judges it beside its content: length, formatting, assertiveness. Pure functions.

Formatting: marks of Markdown that shape an answer (headings, list items, bold, code, tables). Assertiveness: words that
strengthen a claim less words that hedge it, per 100 words; English words alone, after the lists of Hyland (2005),
Metadiscourse, appendix. Answers in other languages have neither: of two with the same value no preference is counted.
"""

import re

TRAITS = ("longer", "more formatted", "more assertive")

_MARKS = re.compile(
    r"^[ \t]{0,3}(?:#{1,6}[ \t]|[-*+][ \t]|\d{1,9}[.)][ \t]|```|\|.*\|[ \t]*$)|\*\*[^*\n]+\*\*", re.MULTILINE
)
_HEDGES = """about almost apparently appear appeared appears approximately assume assumed believe could doubt doubtful
essentially estimate fairly feel frequently generally guess indicate largely likely mainly may maybe might mostly often
perhaps plausible plausibly possible possibly presumably probable probably quite rather relatively roughly seem seemed
seems should sometimes somewhat suggest suggests suppose supposed tend tends typically uncertain unclear unlikely
usually would""".split()
_BOOSTERS = """actually always believed certain certainly clear clearly conclusively decidedly definite definitely
demonstrate demonstrated doubtless establish established evident evidently find found indeed indisputable indisputably
know known must never obvious obviously of course prove proved proves really show showed shown shows sure surely true
truly undeniable undeniably undisputedly undoubtedly""".replace("of course", "").split()
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_STANCE = dict.fromkeys(_HEDGES, -1) | dict.fromkeys(_BOOSTERS, 1)


def text_traits(text: str) -> tuple[float, float, float]:
    """(characters, marks of formatting, assertiveness), in the order of TRAITS."""
    words = _WORD.findall(text)
    stance = sum(_STANCE.get(word.lower(), 0) for word in words)
    return len(text), len(_MARKS.findall(text)), 100 * stance / len(words) if words else 0.0
