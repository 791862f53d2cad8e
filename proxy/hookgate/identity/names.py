"""Names of users and roles that mean what they look like."""

import unicodedata

MAX_CHARACTERS = 256

#: Control, format (zero-width, bidirectional), surrogate, private use, not assigned, line and paragraph ends.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
#: Scripts with letters that look like Latin ones.
_ALIKE = ("CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU")


def name_fault(name: str) -> str:
    """Says what is wrong with a name, without repeating it; empty where nothing is.

    Refused is what shows as another name than it is: characters that nobody sees, other forms of letters (full-width,
    mathematical), and Latin letters beside those of a script that looks alike. A name that is all Cyrillic is a name.
    """
    if len(name) > MAX_CHARACTERS:
        return f"is longer than {MAX_CHARACTERS} characters"
    if name.isascii():
        return "" if name.isprintable() else "has a control character"
    if any(unicodedata.category(char) in _UNSEEN for char in name):
        return "has a character that nobody sees"
    if unicodedata.normalize("NFKC", name) != unicodedata.normalize("NFC", name):
        return "has letters in another form than their own"
    scripts = {unicodedata.name(char, "").split(" ")[0] for char in name if char.isalpha()}
    if "LATIN" in scripts and not scripts.isdisjoint(_ALIKE):
        return "mixes letters of scripts that look alike"
    return ""
