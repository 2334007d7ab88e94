"""Whether a sentence may be English, and whether it may be of anything but sound, by its words alone."""

from __future__ import annotations

import re
import unicodedata


def words_of(text: str) -> frozenset[str]:
    """A list of words between blanks."""
    return frozenset(text.split())


ENGLISH = words_of(
    """
    a all an and another are as at be been behind being by can could did do does down for from had has
    have hay he her him his how i in into is it its like many more most my near of off on one or other
    our out over she some somebody someone something several that the their them there these they this
    through to under up very was we were what when where which while who why with you your
    """
)
FOREIGN = (
    """das dem der ein eine einen einem einer und oder ist sind nicht wer wie auf mit für über wird jemand
    sich ich zum zur vom beim""",  # German
    "le la les un une des du de et est dans sur avec qui que aux ce cette il elle quelqu",  # French
    "el la los las un una y en con por para que del al se alguien hay",  # Spanish
    "o os um uma e em na da dos das com por que se alguém está não",  # Portuguese
    "il lo gli la una un di della che con per sul sulla nel nella qualcuno si",  # Italian
    "de het een op van met voor iemand niet wordt en zijn",  # Dutch
    "yang di dan seorang seekor sedang dengan ada itu ini",  # Indonesian, Malay
    "bir ve için ile bu",  # Turkish
    "się na ktoś jest nie z w i do",  # Polish
    "en ett och på är inte någon som det den",  # Swedish
)
"""Words that hold sentences together; those that are English as well say nothing."""

FOREIGN_WORDS = [words_of(words) - ENGLISH for words in FOREIGN]
BORROWED = words_of("café cafés cliché crème décor déjà façade fiancé fiancée jalapeño naïve piñata")
WORD = re.compile(r"[^\W\d_]+")

REQUEST = re.compile(
    r"\s*(what|who|whom|whose|when|where|why|which|how|is|are|was|were|will|would|should|can|could|do|does|did"
    r"|please|tell|explain|translate|calculate|give|show)\b",
    re.IGNORECASE,
)


INAUDIBLE = re.compile(
    r"""\b(red|green|blue|yellow|colou?r(s|ed|ful)?|smells?|scents?|tastes?|bitter|sweet|flavou?rs?|prices?|costs?
    |cheap(est)?|expensive|invoices?|bills?|salary|passwords?|e-?mails?|spam|pictures?|paintings?|drawings?|maps?
    |shapes?|sizes?|lengths?|heights?|weights?|theor(y|ies)|recipes?|essays?|poems?|alphabet|legal|contracts?
    |strateg(y|ies)|beautiful|pretty|favou?rite|history|politic(s|al)|polic(y|ies)|econom(y|ic)|capital)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""What is seen, smelt, paid or thought."""


def is_english(text: str) -> bool:
    """Whether a sentence may be English, by its letters and by the small words of ten languages."""
    words = {word.lower() for word in WORD.findall(unicodedata.normalize("NFC", text))}
    if not words:
        return True
    if sum(map(is_latin, words)) * 2 < len(words):
        return False
    if not any(len(word) > 1 for word in words):
        return True
    foreign = {word for word in words if not word.isascii()} - BORROWED
    most = max(len(words & small | foreign) for small in FOREIGN_WORDS)
    return most <= len(words & ENGLISH)


def is_latin(word: str) -> bool:
    """Whether a word is written in the letters of English and its neighbours."""
    return all(unicodedata.name(letter, "").startswith("LATIN") for letter in word)


def may_be_of_anything(text: str) -> bool:
    """Whether a sentence begins as a question or a request does, or speaks of what nobody hears."""
    return REQUEST.match(text) is not None or INAUDIBLE.search(text) is not None
