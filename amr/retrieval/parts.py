"""A sentence of several sounds ("a dog barks while a car passes"), taken apart by its words.

An encoder makes one vector of a sentence, and of two sounds in it the stronger wins. A part is a clause, or,
behind "followed by", anything: "a man and a woman talking", "bread and butter", "a man talks and laughs" stay
whole. ``amr.retrieval.joining`` finds the parts apart and joins their moments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

AT_ONCE, BOTH, IN_ORDER = "at once", "both", "in order"
MOST_PARTS, MOST_CHARACTERS = 4, 300
"""Beyond which a sentence stays whole."""

LEADING = re.compile(r"(?:while|whilst|as) ([^,]+), (.+)", re.IGNORECASE)
CONNECTORS = (
    (IN_ORDER, re.compile(r",? (?:and )?then |,? (?:(?:is|are) )?followed by ", re.IGNORECASE)),
    (
        AT_ONCE,
        re.compile(
            r",? (?:and )?(?:while|whilst) "
            r"|,? (?<!\bas )(?<!\bsuch )as (?!(?:well|if|though|soon|long|it|they|he|she)\b)",
            re.IGNORECASE,
        ),
    ),
    (BOTH, re.compile(r",? and ", re.IGNORECASE)),
)
"""From the loosest to the closest: a sentence is cut at the first of them that it has."""

DETERMINER = re.compile(r"(?:an?|the|another|his|her|their|its)\Z", re.IGNORECASE)
NO_SUBJECT = re.compile(
    r"(?:an?|the|some|his|her|their|its|it|them|at|on|in|into|out|up|down|off|over|to|from|with|for|around|round"
    r"|back|again|away|by|past|not|near|close|about|outside|inside|before|after|between|together"
    r"|shut|open|apart|\w+ly)\Z",
    re.IGNORECASE,
)
"""What stands behind a verb: a clause whose second word it is has no subject."""
VERB = re.compile(r"(?:is|are|\w+ing|\w*[^\Ws]s)\Z", re.IGNORECASE)
NO_VERB = re.compile(
    r"(?:(?:some|any|every|no)thing|evening|morning|building|ceiling|\w?\w?ring|king|wing|thing)\Z",
    re.IGNORECASE,
)
GOES_ON = re.compile(r"(?:is|are|was|were|has|have|\w+ing)\Z", re.IGNORECASE)
"""What begins a clause that goes on with the one before."""


@dataclass(frozen=True)
class Together:
    """Parts of a sentence and how they belong together: ``at once``, ``both`` or ``in order``."""

    how: str
    parts: tuple[Part, ...]


Part = str | Together


def taken_apart(text: str) -> Part:
    """The sentence as it is, or its parts, two to four clauses in all."""
    if len(text) > MOST_CHARACTERS:
        return text
    part = cut(" ".join(text.replace(",", ", ").split()).replace(" ,", ",").rstrip("."))
    return part if isinstance(part, Together) and len(clauses(part)) <= MOST_PARTS else text


def clauses(part: Part) -> list[str]:
    """The sentences in a part, in order."""
    return [part] if isinstance(part, str) else [text for each in part.parts for text in clauses(each)]


def cut(text: str) -> Part:
    """A sentence without its full stop."""
    leading = LEADING.fullmatch(text)
    if leading and all(map(is_clause, leading.groups())):
        return Together(AT_ONCE, (cut(leading[1]), cut(leading[2])))
    for how, connector in CONNECTORS:
        pieces = [piece.strip() for piece in connector.split(text)]
        if len(pieces) > 1:
            stands = is_clause if how == AT_ONCE else says_what
            first_stands = how == IN_ORDER or (is_clause(pieces[0]) and (how == AT_ONCE or " " in pieces[0]))
            apart = first_stands and all(map(stands, pieces[1:]))
            return Together(how, tuple(map(cut, pieces))) if apart else text
    return text


def is_clause(text: str) -> bool:
    """Whether something happens in it: "a dog barks", "dogs bark", "cutting wood", not "a dog"."""
    words = text.split()
    if not words:
        return False
    if DETERMINER.match(words[0]):
        plural = len(words) > 2 and words[1].endswith("s")
        return plural or any(VERB.match(word) and not NO_VERB.match(word) for word in words[2:])
    return len(words) > 1 or (VERB.match(words[0]) is not None and words[0].lower().endswith("ing"))


def says_what(text: str) -> bool:
    """Whether it says who or what: "someone laughs", "a loud bang", not "laughs loudly", which goes on with
    the clause before."""
    words = text.split()
    if not words or GOES_ON.match(words[0]):
        return False
    if DETERMINER.match(words[0]):
        return len(words) > 1
    return len(words) > 1 and NO_SUBJECT.match(words[1]) is None
